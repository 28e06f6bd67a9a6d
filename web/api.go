package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"freshet/aggregate"
)

// maxQueryBytes bounds the body of a query.
const maxQueryBytes = 64 << 10

// maxLabelValues is how many values of a label are listed.
const maxLabelValues = 10_000

// A QueryAPI answers /api/v1/query and /api/v1/metrics. It leaves access to whoever
// mounts it.
type QueryAPI struct {
	Engine *aggregate.Engine
	Logger *slog.Logger // nil discards
}

// Query answers POST /api/v1/query.
func (a *QueryAPI) Query() http.Handler { return apiHandler(a.Logger, a.query) }

// Metrics answers GET /api/v1/metrics and GET /api/v1/metrics/{metric}/labels/{label}.
func (a *QueryAPI) Metrics() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/v1/metrics", apiHandler(a.Logger, a.metrics))
	mux.Handle("/api/v1/metrics/{metric}/labels/{label}", apiHandler(a.Logger, a.labels))
	mux.Handle("/", apiHandler(a.Logger, func(http.ResponseWriter, *http.Request) error { return errNotFound }))
	return mux
}

// apiHandler answers errors as JSON.
func apiHandler(logger *slog.Logger, f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil && r.Context().Err() == nil {
			known := shown(logger, r, err)
			writeJSON(w, known.status, map[string]string{"error": known.words})
		}
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// allow refuses other methods than the one given.
func allow(w http.ResponseWriter, r *http.Request, method string) error {
	if r.Method == method || method == http.MethodGet && r.Method == http.MethodHead {
		return nil
	}
	w.Header().Set("Allow", method)
	return &statusError{http.StatusMethodNotAllowed, fmt.Sprintf("method %s is not allowed here; use %s", r.Method, method)}
}

func (a *QueryAPI) query(w http.ResponseWriter, r *http.Request) error {
	if err := allow(w, r, http.MethodPost); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQueryBytes))
	if err != nil {
		return bodyError(err, maxQueryBytes)
	}
	q, err := aggregate.ParseQuery(body)
	var answer *aggregate.Answer
	if err == nil {
		answer, err = a.Engine.Query(r.Context(), q)
	}
	var refused *aggregate.QueryError
	var lag *aggregate.LagError
	switch {
	case errors.As(err, &lag):
		w.Header().Set("Retry-After", "1")
		return &statusError{http.StatusServiceUnavailable, lag.Error()}
	case errors.As(err, &refused):
		return &statusError{http.StatusBadRequest, refused.Reason}
	case err != nil:
		return err
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// bodyError says why a body could not be read.
func bodyError(err error, limit int) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &statusError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than the limit of %d bytes", limit)}
	}
	return &statusError{http.StatusBadRequest, "the body could not be read: " + err.Error()}
}

func (a *QueryAPI) metrics(w http.ResponseWriter, r *http.Request) error {
	if err := allow(w, r, http.MethodGet); err != nil {
		return err
	}
	v, err := a.Engine.Latest(r.Context())
	if err != nil {
		return err
	}
	defer v.Close()
	metrics := v.Metrics()
	if metrics == nil {
		metrics = []aggregate.MetricInfo{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"metrics": metrics})
	return nil
}

func (a *QueryAPI) labels(w http.ResponseWriter, r *http.Request) error {
	if err := allow(w, r, http.MethodGet); err != nil {
		return err
	}
	values, ok := a.Engine.LabelValues(r.PathValue("metric"), r.PathValue("label"), maxLabelValues)
	if !ok {
		return &statusError{http.StatusNotFound, fmt.Sprintf("there is no metric %q", r.PathValue("metric"))}
	}
	writeJSON(w, http.StatusOK, map[string]any{"values": values})
	return nil
}
