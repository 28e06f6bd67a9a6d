package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"freshet/dashboard"
	"freshet/web/access"
)

// Boards is where pages find what to show. It must be safe for concurrent use.
type Boards interface {
	All() []*dashboard.Board
	Board(id string) (*dashboard.Board, bool)
}

// An Authenticator knows who looks at a page; access.Access is one.
type Authenticator interface {
	// Identify says who sent the request, or why nobody known did.
	Identify(r *http.Request) (access.Identity, error)
	// SignIn exchanges a token for a session's cookie. An error is shown to the
	// visitor, so it says what is wrong and nothing of what would be right.
	SignIn(r *http.Request, token string) (*http.Cookie, error)
	// SignOut ends the request's session and returns the cookie that clears it.
	SignOut(r *http.Request) (*http.Cookie, error)
}

// API holds the handlers of the paths that programs use. They check access and
// methods themselves. A nil one answers 404.
type API struct {
	Points     http.Handler // POST /api/v1/points
	Query      http.Handler // POST /api/v1/query
	Live       http.Handler // GET /api/v1/live
	Metrics    http.Handler // GET /api/v1/metrics and what is below it
	SQL        http.Handler // POST /api/v1/sql
	Quarantine http.Handler // GET /api/v1/quarantine
	Load       http.Handler // POST /api/v1/warehouse/load
	Tokens     http.Handler // /api/v1/tokens and what is below it
	Health     http.Handler // GET /healthz and /readyz
	Samples    http.Handler // GET /metrics
	Pipelines  http.Handler // /api/v1/pipelines and what is below it
	Continuous http.Handler // GET /api/v1/continuous
	Streams    http.Handler // GET /api/v1/streams, PUT /api/v1/streams/{stream}
	Records    http.Handler // POST /api/v1/streams/{stream}/records
}

// Options configure the handler of New.
type Options struct {
	Boards Boards
	Auth   Authenticator // whose scope Read opens the pages; nil opens them to everyone
	API    API
	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil means time.Now
}

type server struct {
	boards Boards
	auth   Authenticator
	assets *assets
	logger *slog.Logger
	now    func() time.Time
}

// New returns the handler of everything that Freshet serves over HTTP: pages, assets
// and the API. It starts nothing and is safe for concurrent use.
func New(o Options) (http.Handler, error) {
	a, err := loadAssets()
	if err != nil {
		return nil, err
	}
	s := &server{boards: o.Boards, auth: o.Auth, assets: a, logger: o.Logger, now: o.Now}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.page(s.home))
	mux.Handle("GET /d/{board}", s.page(s.board))
	mux.Handle("GET /signin", s.handle(s.signInPage))
	mux.Handle("POST /signin", s.handle(s.signIn))
	mux.Handle("POST /signout", s.handle(s.signOut))
	mux.Handle("GET /assets/{name}", s.handle(s.asset))
	mux.Handle("/", s.handle(func(http.ResponseWriter, *http.Request) error { return errNotFound }))
	mount(mux, o.API)
	return secure(mux), nil
}

func mount(mux *http.ServeMux, api API) {
	for _, m := range []struct {
		path    string
		handler http.Handler
	}{
		{"/api/v1/points", api.Points},
		{"/api/v1/query", api.Query},
		{"/api/v1/live", api.Live},
		{"/api/v1/metrics", api.Metrics},
		{"/api/v1/metrics/", api.Metrics},
		{"/api/v1/sql", api.SQL},
		{"/api/v1/quarantine", api.Quarantine},
		{"/api/v1/warehouse/load", api.Load},
		{"/api/v1/tokens", api.Tokens},
		{"/api/v1/tokens/", api.Tokens},
		{"/api/v1/streams", api.Streams},
		{"/api/v1/streams/{stream}", api.Streams},
		{"/api/v1/streams/{stream}/records", api.Records},
		{"/api/v1/continuous", api.Continuous},
		{"/api/v1/pipelines", api.Pipelines},
		{"/api/v1/pipelines/", api.Pipelines},
		{"/healthz", api.Health},
		{"/readyz", api.Health},
		{"GET /metrics", api.Samples},
	} {
		if m.handler != nil {
			mux.Handle(m.path, m.handler)
		}
	}
}

// The policy allows nothing but what this server serves: no inline script or style, no
// other host, no frame around a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets the headers that every answer carries.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		next.ServeHTTP(w, r)
	})
}

// page is a handler that only somebody who may read sees; others are sent to sign in.
func (s *server) page(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return s.handle(func(w http.ResponseWriter, r *http.Request) error {
		switch _, err := s.reader(r); {
		case errors.Is(err, access.ErrOtherHost):
			return &statusError{http.StatusForbidden, "Without access control this server only answers to its loopback name, such as localhost."}
		case err != nil:
			http.Redirect(w, r, signInURL(r.URL.RequestURI()), http.StatusSeeOther)
			return nil
		}
		return f(w, r)
	})
}

// reader returns who looks at a page, or an error if nobody who may.
func (s *server) reader(r *http.Request) (access.Identity, error) {
	if s.auth == nil {
		return access.Identity{}, nil
	}
	who, err := s.auth.Identify(r)
	if err == nil && !who.Scopes.Allow(access.Read) {
		err = access.ErrForbidden
	}
	return who, err
}

// render writes a page. A page depends on the viewer and on the time, so nothing keeps it.
func (s *server) render(ctx context.Context, w http.ResponseWriter, status int, c component) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := c.Render(ctx, w); err != nil {
		return fmt.Errorf("render: %w", err)
	}
	return nil
}
