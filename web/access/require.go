package access

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Errors of a request that is known but not allowed.
var (
	ErrForbidden  = errors.New("the token's scopes do not include this")
	ErrOtherSite  = errors.New("the request comes from a page of another site")
	ErrOtherHost  = errors.New("without access control only requests addressed to this machine by its loopback name are served")
	errBadBearer  = errors.New("the token is not valid: it may be mistyped, revoked or expired")
	errNoIdentity = errors.New("send Authorization: Bearer <token>, or sign in")
)

// An Identity is who a request comes from.
type Identity struct {
	TokenID string // "" when access control is off
	Name    string
	Scopes  Scopes
	Session bool // signed in with a browser
}

// Identify says who sent r: by its Bearer token if it has one, else by the
// session of its cookie. A request that a browser would send along for another
// site's page — one that opens a websocket or is not a plain read — must come
// from a page of this server: ErrOtherSite. A request of nobody known is
// ErrUnauthenticated.
func (a *Access) Identify(r *http.Request) (Identity, error) {
	if a.off {
		return Identity{Name: "anyone", Scopes: Ingest | Read | Admin}, checkLocal(r)
	}
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, secret, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return Identity{}, ErrUnauthenticated
		}
		t, err := a.verify(strings.TrimSpace(secret))
		if err != nil {
			return Identity{}, err
		}
		return Identity{TokenID: t.ID, Name: t.Name, Scopes: t.Scopes}, nil
	}
	t, err := a.session(r)
	if err != nil {
		return Identity{}, err
	}
	if acts(r) && !fromHere(r) {
		return Identity{}, ErrOtherSite
	}
	return Identity{TokenID: t.ID, Name: t.Name, Scopes: t.Scopes, Session: true}, nil
}

// acts reports whether r could change something or read through a channel that
// the same-origin policy does not guard.
func acts(r *http.Request) bool {
	return (r.Method != http.MethodGet && r.Method != http.MethodHead) || r.Header.Get("Upgrade") != ""
}

// fromHere reports whether the browser says that r comes from a page of this
// server. Browsers send Origin with every request that acts.
func fromHere(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return r.Header.Get("Sec-Fetch-Site") == "same-origin"
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// checkLocal is all that guards a server without access control: it listens on
// loopback, but a page of any site can have a browser on this machine send
// requests there, also under a name of its own that it points to 127.0.0.1.
func checkLocal(r *http.Request) error {
	if !AddressedHere(r) {
		return ErrOtherHost
	}
	foreign := r.Header.Get("Origin") != "" && !fromHere(r)
	if acts(r) && (foreign || r.Header.Get("Sec-Fetch-Site") == "cross-site") {
		return ErrOtherSite
	}
	return nil
}

// AddressedHere reports whether r is addressed to a name that means this machine
// everywhere, and so cannot be another site's for it.
func AddressedHere(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// Require returns a middleware that lets through the requests of those who
// hold scope, and answers the others 401 or 403 in JSON.
func (a *Access) Require(scope Scopes) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, err := a.Identify(r)
			if err == nil && !who.Scopes.Allow(scope) {
				err = ErrForbidden
			}
			if err != nil {
				refuse(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// refuse answers a request that was not let through.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, ErrForbidden), errors.Is(err, ErrOtherSite), errors.Is(err, ErrOtherHost):
		answerError(w, http.StatusForbidden, err)
	case errors.Is(err, ErrUnauthenticated):
		w.Header().Set("WWW-Authenticate", `Bearer realm="freshet"`)
		err = errNoIdentity
		if r.Header.Get("Authorization") != "" {
			err = errBadBearer
		}
		answerError(w, http.StatusUnauthorized, err)
	default:
		answerError(w, http.StatusInternalServerError, err)
	}
}

func answerError(w http.ResponseWriter, status int, err error) {
	answerJSON(w, status, map[string]string{"error": err.Error()})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has left; there is nobody to tell
}
