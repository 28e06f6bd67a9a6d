package access_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"freshet/web/access"
)

// A clock is set by the test.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// open opens a store with a clock, and its first admin token.
func open(t *testing.T) (a *access.Access, admin string, c *clock, path string) {
	t.Helper()
	c = &clock{time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	path = filepath.Join(t.TempDir(), "access.db")
	a = reopen(t, path, c)
	admin, err := a.Bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	return a, admin, c, path
}

func reopen(t *testing.T, path string, c *clock) *access.Access {
	t.Helper()
	a, err := access.Open(access.Options{Path: path, Now: c.now, SessionTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func create(t *testing.T, a *access.Access, scopes access.Scopes, expires time.Time) (string, access.Token) {
	t.Helper()
	secret, token, err := a.Create("test", scopes, expires)
	if err != nil {
		t.Fatal(err)
	}
	return secret, token
}

// get makes a request; headers are names and values.
func get(method string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "http://shop.example:8080/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func bearer(secret string) *http.Request {
	return get(http.MethodPost, "Authorization", "Bearer "+secret)
}

func TestBootstrapOnce(t *testing.T) {
	a, admin, c, path := open(t)
	if who, err := a.Identify(bearer(admin)); err != nil || !who.Scopes.Allow(access.Ingest|access.Read|access.Admin) {
		t.Errorf("got %+v, %v, want the admin", who, err)
	}
	if again, err := a.Bootstrap(); err != nil || again != "" {
		t.Errorf("second time: got %q, %v, want nothing", again, err)
	}
	a.Close()
	a = reopen(t, path, c)
	if again, err := a.Bootstrap(); err != nil || again != "" {
		t.Errorf("after a restart: got %q, %v, want nothing", again, err)
	}
	if _, err := a.Identify(bearer(admin)); err != nil {
		t.Errorf("after a restart: got %v, want the admin", err)
	}
}

func TestSecretIsNotStored(t *testing.T) {
	a, admin, _, path := open(t)
	a.Close()
	_, secret, _ := strings.Cut(strings.TrimPrefix(admin, "fr_"), "_")
	if len(secret) != 43 { // 256 bits in base64
		t.Errorf("got a secret of %d characters, want 43", len(secret))
	}
	if holds(t, path, secret) {
		t.Error("the file holds the secret")
	}
}

func TestScopes(t *testing.T) {
	for _, c := range []struct {
		has, need access.Scopes
		want      bool
	}{
		{access.Ingest, access.Ingest, true},
		{access.Ingest, access.Read, false},
		{access.Ingest, access.Admin, false},
		{access.Ingest | access.Read, access.Read, true},
		{access.Read, access.Ingest | access.Read, false},
		{access.Admin, access.Ingest | access.Read, true},
		{0, access.Read, false},
	} {
		if got := c.has.Allow(c.need); got != c.want {
			t.Errorf("%q for %q: got %v, want %v", c.has, c.need, got, c.want)
		}
	}
	if _, err := access.ParseScopes([]string{"read", "write"}); err == nil || !strings.Contains(err.Error(), `"write"`) {
		t.Errorf("got %v, want an error that names write", err)
	}
	if _, err := access.ParseScopes(nil); err == nil {
		t.Error("no scopes: got no error")
	}
}

func TestRequire(t *testing.T) {
	a, admin, c, _ := open(t)
	reader, _ := create(t, a, access.Read, time.Time{})
	brief, _ := create(t, a, access.Admin, c.at.Add(time.Minute))
	handler := a.Require(access.Ingest)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "in") }))
	for _, test := range []struct {
		name    string
		request *http.Request
		after   time.Duration
		want    int
	}{
		{"admin", bearer(admin), 0, 200},
		{"scheme in lower case", get("POST", "Authorization", "bearer "+admin), 0, 200},
		{"other scope", bearer(reader), 0, 403},
		{"nothing", get("POST"), 0, 401},
		{"other scheme", get("POST", "Authorization", "Basic "+admin), 0, 401},
		{"one character off", bearer(admin[:len(admin)-1] + "_"), 0, 401},
		{"cut short", bearer(admin[:len(admin)-5]), 0, 401},
		{"the id alone", bearer(admin[:15]), 0, 401},
		{"very long", bearer("fr_" + strings.Repeat("x", 10_000)), 0, 401},
		{"before its end", bearer(brief), 0, 200},
		{"at its end", bearer(brief), time.Minute, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := c.at
			c.at = start.Add(test.after)
			defer func() { c.at = start }()
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, test.request)
			if w.Code != test.want {
				t.Fatalf("got %d %s, want %d", w.Code, w.Body, test.want)
			}
			if test.want == 200 {
				return
			}
			var body struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Error == "" {
				t.Errorf("got body %s, want a JSON error", w.Body)
			}
			if got := w.Header().Get("WWW-Authenticate"); (got != "") != (test.want == 401) {
				t.Errorf("got WWW-Authenticate %q with %d", got, test.want)
			}
		})
	}
}

func TestSession(t *testing.T) {
	a, admin, c, path := open(t)
	secret, token := create(t, a, access.Read, time.Time{})
	cookie, err := a.SignIn(get("POST"), secret)
	if err != nil {
		t.Fatal(err)
	}
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.Path != "/" {
		t.Errorf("got cookie %+v", cookie)
	}
	if !cookie.Expires.Equal(c.at.Add(time.Hour)) {
		t.Errorf("got an end at %v, want in an hour", cookie.Expires)
	}
	if holds(t, path, cookie.Value) {
		t.Error("the file holds the cookie's value")
	}
	with := func(method string, headers ...string) *http.Request {
		r := get(method, headers...)
		r.AddCookie(cookie)
		return r
	}
	who, err := a.Identify(with("GET"))
	if err != nil || !who.Session || who.TokenID != token.ID || who.Scopes != access.Read {
		t.Errorf("got %+v, %v, want the session", who, err)
	}

	for _, test := range []struct {
		name    string
		request *http.Request
		want    error
	}{
		{"read from another site", with("GET", "Origin", "http://evil.example"), nil},
		{"post from here", with("POST", "Origin", "http://shop.example:8080"), nil},
		{"post from here behind TLS", with("POST", "Origin", "https://shop.example:8080"), nil},
		{"post from here by fetch metadata", with("POST", "Sec-Fetch-Site", "same-origin"), nil},
		{"post from another site", with("POST", "Origin", "http://evil.example"), access.ErrOtherSite},
		{"post from another port", with("POST", "Origin", "http://shop.example:9090"), access.ErrOtherSite},
		{"post from nowhere", with("POST"), access.ErrOtherSite},
		{"post from a sandbox", with("POST", "Origin", "null"), access.ErrOtherSite},
		{"websocket from here", with("GET", "Upgrade", "websocket", "Origin", "http://shop.example:8080"), nil},
		{"websocket from another site", with("GET", "Upgrade", "websocket", "Origin", "http://evil.example"), access.ErrOtherSite},
		{"websocket from nowhere", with("GET", "Upgrade", "websocket"), access.ErrOtherSite},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := a.Identify(test.request); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}

	a.Close()
	a = reopen(t, path, c)
	if _, err := a.Identify(with("GET")); err != nil {
		t.Errorf("after a restart: got %v, want the session", err)
	}
	forget, err := a.SignOut(with("POST", "Origin", "http://shop.example:8080"))
	if err != nil || forget.MaxAge >= 0 || forget.Value != "" {
		t.Errorf("sign out: got %+v, %v", forget, err)
	}
	if _, err := a.Identify(with("GET")); !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("after signing out: got %v, want ErrUnauthenticated", err)
	}
	if _, err := a.Identify(bearer(admin)); err != nil {
		t.Errorf("the admin's token: got %v", err)
	}
}

func TestSessionEnds(t *testing.T) {
	a, _, c, _ := open(t)
	signIn := func(expires time.Time) (access.Token, *http.Request) {
		secret, token := create(t, a, access.Read, expires)
		cookie, err := a.SignIn(get("POST"), secret)
		if err != nil {
			t.Fatal(err)
		}
		r := get("GET")
		r.AddCookie(cookie)
		return token, r
	}
	token, revoked := signIn(time.Time{})
	_, short := signIn(c.at.Add(10 * time.Minute))
	_, long := signIn(time.Time{})
	if err := a.Revoke(token.ID); err != nil {
		t.Fatal(err)
	}
	check := func(what string, r *http.Request, want error) {
		t.Helper()
		if _, err := a.Identify(r); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	check("token revoked", revoked, access.ErrUnauthenticated)
	check("token not yet over", short, nil)
	c.at = c.at.Add(10 * time.Minute)
	check("token over", short, access.ErrUnauthenticated)
	check("session not yet over", long, nil)
	c.at = c.at.Add(50 * time.Minute)
	check("session over", long, access.ErrUnauthenticated)
}

func TestSecureCookie(t *testing.T) {
	a, admin, _, _ := open(t)
	cookie, err := a.SignIn(get("POST", "X-Forwarded-Proto", "https"), admin)
	if err != nil || !cookie.Secure {
		t.Errorf("behind TLS: got %+v, %v, want a secure cookie", cookie, err)
	}
}

func TestFailedSignInsWait(t *testing.T) {
	a, admin, c, _ := open(t)
	ingest, _ := create(t, a, access.Ingest, time.Time{})
	if _, err := a.SignIn(get("POST"), ingest); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("a token that may not read: got %v, want ErrForbidden", err)
	}
	for i := range 10 {
		if _, err := a.SignIn(get("POST"), "fr_guess_"+fmt.Sprint(i)); !errors.Is(err, access.ErrUnauthenticated) {
			t.Fatalf("guess %d: got %v, want ErrUnauthenticated", i, err)
		}
	}
	var wait *access.TooManyFailuresError
	if _, err := a.SignIn(get("POST"), admin); !errors.As(err, &wait) || wait.RetryAfter <= 0 || wait.RetryAfter > time.Minute {
		t.Errorf("after ten failures: got %v, want to wait", err)
	}
	other := get("POST")
	other.RemoteAddr = "198.51.100.7:1234"
	if _, err := a.SignIn(other, admin); err != nil {
		t.Errorf("another address: got %v", err)
	}
	c.at = c.at.Add(time.Minute)
	if _, err := a.SignIn(get("POST"), admin); err != nil {
		t.Errorf("a minute later: got %v", err)
	}
}

func TestFailuresAreBounded(t *testing.T) {
	a, _, _, _ := open(t)
	attempt := func(i int) {
		r := get("POST")
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)
		_, _ = a.SignIn(r, "fr_x_y")
	}
	for i := range 4096 {
		attempt(i)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 20_000 {
		attempt(4096 + i)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("20,000 more addresses took %d bytes, want less than 1 MiB", grown)
	}
}

func TestRevoke(t *testing.T) {
	a, admin, c, path := open(t)
	first := a.List()[0]
	if err := a.Revoke(first.ID); !errors.Is(err, access.ErrLastAdmin) {
		t.Errorf("the last admin: got %v, want ErrLastAdmin", err)
	}
	brief, _ := create(t, a, access.Admin, c.at.Add(time.Minute))
	c.at = c.at.Add(time.Hour)
	if err := a.Revoke(first.ID); !errors.Is(err, access.ErrLastAdmin) {
		t.Errorf("with another that is over: got %v, want ErrLastAdmin", err)
	}
	if _, err := a.Identify(bearer(brief)); !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("a token that is over: got %v", err)
	}
	second, _ := create(t, a, access.Admin, time.Time{})
	if err := a.Revoke(first.ID); err != nil {
		t.Errorf("with another: got %v", err)
	}
	if err := a.Revoke(first.ID); !errors.Is(err, access.ErrNoToken) {
		t.Errorf("twice: got %v, want ErrNoToken", err)
	}
	a.Close()
	a = reopen(t, path, c)
	if _, err := a.Identify(bearer(admin)); !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("revoked, after a restart: got %v", err)
	}
	if _, err := a.Identify(bearer(second)); err != nil {
		t.Errorf("not revoked, after a restart: got %v", err)
	}
}

func TestLastUsed(t *testing.T) {
	a, admin, c, path := open(t)
	c.at = c.at.Add(time.Hour)
	used := c.at
	_, _ = a.Identify(bearer(admin))
	c.at = c.at.Add(10 * time.Second)
	_, _ = a.Identify(bearer(admin))
	if got := a.List()[0].LastUsed; !got.Equal(used) {
		t.Errorf("got %v, want %v: it is noted once a minute", got, used)
	}
	a.Close()
	a = reopen(t, path, c)
	if got := a.List()[0].LastUsed; !got.Equal(used) {
		t.Errorf("after a restart: got %v, want %v", got, used)
	}
}

func TestOff(t *testing.T) {
	a, err := access.Open(access.Options{Off: true})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if secret, err := a.Bootstrap(); secret != "" || err != nil {
		t.Errorf("got %q, %v, want no token", secret, err)
	}
	request := func(method, host string, headers ...string) *http.Request {
		r := get(method, headers...)
		r.Host = host
		return r
	}
	for _, test := range []struct {
		name    string
		request *http.Request
		want    error
	}{
		{"a program", request("POST", "127.0.0.1:8080"), nil},
		{"by name", request("GET", "localhost:8080"), nil},
		{"IPv6", request("GET", "[::1]:8080"), nil},
		{"own page", request("POST", "localhost:8080", "Origin", "http://localhost:8080"), nil},
		{"link from another site", request("GET", "localhost:8080", "Sec-Fetch-Site", "cross-site"), nil},
		{"post from another site", request("POST", "localhost:8080", "Origin", "http://evil.example"), access.ErrOtherSite},
		{"websocket from another site", request("GET", "localhost:8080", "Origin", "http://evil.example", "Upgrade", "websocket"), access.ErrOtherSite},
		{"a name that points here", request("GET", "evil.example:8080"), access.ErrOtherHost},
	} {
		t.Run(test.name, func(t *testing.T) {
			if who, err := a.Identify(test.request); !errors.Is(err, test.want) || (err == nil && !who.Scopes.Allow(access.Admin)) {
				t.Errorf("got %+v, %v, want %v", who, err, test.want)
			}
		})
	}
	w := httptest.NewRecorder()
	a.TokensHandler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/api/v1/tokens", nil))
	if w.Code != http.StatusConflict {
		t.Errorf("tokens: got %d %s, want 409", w.Code, w.Body)
	}
}

func TestOneProcess(t *testing.T) {
	_, _, c, path := open(t)
	if a, err := access.Open(access.Options{Path: path, Now: c.now}); err == nil {
		a.Close()
		t.Error("the file was opened twice")
	}
}

func BenchmarkIdentify(b *testing.B) {
	a, err := access.Open(access.Options{Path: filepath.Join(b.TempDir(), "access.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	admin, err := a.Bootstrap()
	if err != nil {
		b.Fatal(err)
	}
	r := bearer(admin)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Identify(r); err != nil {
			b.Fatal(err)
		}
	}
}
