package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// A component is a page that templ made.
type component interface {
	Render(ctx context.Context, w io.Writer) error
}

// A statusError is an error that a visitor is told about.
type statusError struct {
	status int
	words  string
}

// Error returns what the visitor reads.
func (e *statusError) Error() string { return e.words }

var (
	errNotFound = &statusError{http.StatusNotFound, "There is nothing at this address."}
	errInternal = &statusError{http.StatusInternalServerError, "The server could not answer. Its log says why."}
)

// handle is the one place where the errors of handlers become answers: JSON below
// /api/, a page elsewhere. What is not a statusError is logged and not shown.
func (s *server) handle(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := f(w, r)
		if err == nil || r.Context().Err() != nil {
			return
		}
		var known *statusError
		if !errors.As(err, &known) {
			s.logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
			known = errInternal
		}
		if strings.HasPrefix(r.URL.Path, "/api/") {
			writeJSON(w, known.status, map[string]string{"error": known.words})
			return
		}
		view := errorView{Head: s.head(r, http.StatusText(known.status)), Words: known.words}
		if err := s.render(r.Context(), w, known.status, errorPage(view)); err != nil {
			s.logger.Error("request failed", "path", r.URL.Path, "error", err)
		}
	})
}
