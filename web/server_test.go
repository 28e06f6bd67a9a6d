package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"freshet/dashboard"
	"freshet/web"
	"freshet/web/access"
)

func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			os.Exit(code)
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	os.Stderr.WriteString("goroutines leaked:\n" + string(buf[:runtime.Stack(buf, true)]))
	os.Exit(1)
}

// gate lets in whoever has the cookie that the right token gives.
type gate struct{}

func (gate) Identify(r *http.Request) (access.Identity, error) {
	if c, err := r.Cookie("session"); err == nil && c.Value == "yes" {
		return access.Identity{Scopes: access.Read, Session: true}, nil
	}
	return access.Identity{}, access.ErrUnauthenticated
}

func (gate) SignIn(_ *http.Request, token string) (*http.Cookie, error) {
	if token != "right" {
		return nil, errors.New("the token is not valid")
	}
	return &http.Cookie{Name: "session", Value: "yes", Path: "/"}, nil
}

func (gate) SignOut(*http.Request) (*http.Cookie, error) {
	return &http.Cookie{Name: "session", MaxAge: -1, Path: "/"}, nil
}

func handler(t *testing.T, auth web.Authenticator) http.Handler {
	t.Helper()
	boards, err := dashboard.ReadyBoards()
	if err != nil {
		t.Fatal(err)
	}
	points := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "points") })
	h, err := web.New(web.Options{Boards: boards, Auth: auth, API: web.API{Points: points}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, h http.Handler, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var (
	inlineStyle  = regexp.MustCompile(`(?i)<style|\sstyle\s*=`)
	inlineScript = regexp.MustCompile(`(?i)<script(?:[^>]*)>`)
	handlerAttr  = regexp.MustCompile(`(?i)\son[a-z]+\s*=\s*"`)
	elsewhere    = regexp.MustCompile(`(?i)(?:src|href)="(?:https?:)?//`)
)

func TestPagesHoldNothingInline(t *testing.T) {
	open, shut := handler(t, nil), handler(t, gate{})
	for _, page := range []struct {
		name, path string
		h          http.Handler
		status     int
	}{
		{"list", "/", open, 200},
		{"host", "/d/host", open, 200},
		{"shop", "/d/shop?range=1h", open, 200},
		{"no board", "/d/none", open, 404},
		{"no page", "/none", open, 404},
		{"sign in", "/signin", shut, 200},
	} {
		t.Run(page.name, func(t *testing.T) {
			w := get(t, page.h, page.path)
			body := w.Body.String()
			if w.Code != page.status {
				t.Errorf("got status %d, want %d", w.Code, page.status)
			}
			if got := w.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
				t.Errorf("got type %q, want HTML", got)
			}
			if found := inlineStyle.FindString(body); found != "" {
				t.Errorf("the page holds an inline style: %q", found)
			}
			if found := handlerAttr.FindString(body); found != "" {
				t.Errorf("the page holds an inline handler: %q", found)
			}
			if found := elsewhere.FindString(body); found != "" {
				t.Errorf("the page needs another server: %q", found)
			}
			for _, tag := range inlineScript.FindAllString(body, -1) {
				if !strings.Contains(tag, `src="/assets/app-`) && !strings.Contains(tag, `type="application/json"`) {
					t.Errorf("the page holds an inline script: %q", tag)
				}
			}
			policy := w.Header().Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} {
				if !strings.Contains(policy, want) {
					t.Errorf("got policy %q, want it to contain %q", policy, want)
				}
			}
			if strings.Contains(policy, "unsafe") {
				t.Errorf("got policy %q, want nothing unsafe", policy)
			}
		})
	}
}

var boardJSON = regexp.MustCompile(`(?s)<script id="board" type="application/json">(.*?)</script>`)

func TestBoardPageCarriesTheBoard(t *testing.T) {
	body := get(t, handler(t, nil), "/d/shop").Body.String()
	m := boardJSON.FindStringSubmatch(body)
	if m == nil {
		t.Fatal("the page has no board")
	}
	var board dashboard.Board
	if err := json.Unmarshal([]byte(m[1]), &board); err != nil {
		t.Fatal(err)
	}
	if board.ID != "shop" || len(board.Panels) == 0 {
		t.Errorf("got board %q with %d panels, want shop with some", board.ID, len(board.Panels))
	}
	for _, p := range board.Panels {
		if !strings.Contains(body, `data-panel="`+p.ID+`"`) {
			t.Errorf("the page has no element of panel %s", p.ID)
		}
	}
}

func TestThemeIsTheVisitors(t *testing.T) {
	h := handler(t, nil)
	for _, tt := range []struct{ cookie, want string }{{"dark", `data-theme="dark"`}, {"light", `data-theme="light"`}, {`"><script>`, `data-theme=""`}} {
		body := get(t, h, "/", func(r *http.Request) { r.Header.Set("Cookie", "freshet_theme="+tt.cookie) }).Body.String()
		if !strings.Contains(body, tt.want) {
			t.Errorf("cookie %q: the page does not contain %s", tt.cookie, tt.want)
		}
	}
}

var assetURL = regexp.MustCompile(`/assets/[a-z0-9-]+-[A-Z0-9]{8}\.[a-z0-9]+`)

func TestAssetsAreKeptForEver(t *testing.T) {
	h := handler(t, nil)
	urls := assetURL.FindAllString(get(t, h, "/").Body.String(), -1)
	if len(urls) < 3 {
		t.Fatalf("got assets %v, want script, style and icon", urls)
	}
	total := 0
	for _, u := range urls {
		w := get(t, h, u, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
		if w.Code != 200 {
			t.Errorf("%s: got status %d, want 200", u, w.Code)
		}
		if got := w.Header().Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: got Cache-Control %q, want immutable", u, got)
		}
		if strings.HasSuffix(u, ".js") && w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is not compressed", u)
		}
		total += w.Body.Len()
		if plain := get(t, h, u); plain.Header().Get("Content-Encoding") != "" || plain.Body.Len() == 0 {
			t.Errorf("%s: without Accept-Encoding it must come plain", u)
		}
	}
	if limit := 90 << 10; total > limit {
		t.Errorf("script and style are %d bytes compressed, want at most %d", total, limit)
	}
	if w := get(t, h, "/assets/app.js"); w.Code != 404 {
		t.Errorf("a name without its hash: got status %d, want 404", w.Code)
	}
}

func TestErrorsAreJSONForPrograms(t *testing.T) {
	w := get(t, handler(t, nil), "/api/v1/none")
	var body struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 404 || body.Error == "" {
		t.Errorf("got %d %q, want 404 and a JSON error", w.Code, w.Body)
	}
	if w := get(t, handler(t, nil), "/api/v1/points"); w.Body.String() != "points" {
		t.Errorf("got %q, want the mounted handler's answer", w.Body)
	}
}

func TestSignIn(t *testing.T) {
	h := handler(t, gate{})
	w := get(t, h, "/d/shop?range=1h")
	if got, want := w.Header().Get("Location"), "/signin?next=%2Fd%2Fshop%3Frange%3D1h"; w.Code != 303 || got != want {
		t.Fatalf("got %d to %q, want 303 to %q", w.Code, got, want)
	}
	post := func(form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/signin", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := post(url.Values{"token": {"wrong"}}); w.Code != 401 || !strings.Contains(w.Body.String(), "the token is not valid") {
		t.Errorf("a wrong token: got %d, want 401 and the reason", w.Code)
	}
	for _, tt := range []struct{ next, want string }{
		{"/d/shop?range=1h", "/d/shop?range=1h"},
		{"", "/"},
		{"//evil.example", "/"},
		{"https://evil.example", "/"},
		{`/\evil.example`, "/"},
	} {
		w := post(url.Values{"token": {" right "}, "next": {tt.next}})
		if got := w.Header().Get("Location"); w.Code != 303 || got != tt.want {
			t.Errorf("next %q: got %d to %q, want 303 to %q", tt.next, w.Code, got, tt.want)
		}
		if len(w.Result().Cookies()) != 1 {
			t.Errorf("got %d cookies, want the session's", len(w.Result().Cookies()))
		}
	}
	w = get(t, h, "/", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "session", Value: "yes"}) })
	if w.Code != 200 || !strings.Contains(w.Body.String(), `action="/signout"`) {
		t.Errorf("signed in: got %d, want the list with a way to sign out", w.Code)
	}
	if body := get(t, h, "/none").Body.String(); strings.Contains(body, "The web shop") {
		t.Error("a page for nobody known lists the boards")
	}
}
