package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
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

// shown returns the error that a visitor is told about. What is not a statusError is
// logged, if there is a logger, and not shown.
func shown(logger *slog.Logger, r *http.Request, err error) *statusError {
	var known *statusError
	if errors.As(err, &known) {
		return known
	}
	if logger != nil {
		logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	return errInternal
}

// handle is where the errors of page handlers become answers: JSON below /api/, a page
// elsewhere.
func (s *server) handle(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := f(w, r)
		if err == nil || r.Context().Err() != nil {
			return
		}
		known := shown(s.logger, r, err)
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
