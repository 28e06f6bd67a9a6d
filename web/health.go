package web

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"

	"freshet/aggregate"
)

// A Sample is one value of /metrics.
type Sample struct {
	Name  string // freshet_stage_what_unit, with _total at the end of a counter's
	Help  string // said once for all samples of a name
	Label string // name of the one label, empty for none
	Of    string // value of the label
	Value float64
}

// Health answers /healthz, /readyz and /metrics.
type Health struct {
	// Ready returns why the server is not ready, nil when it is.
	Ready func() error
	// Samples returns the present values, those of one name next to each other.
	Samples func() []Sample
}

// Handler returns the handler of /healthz and /readyz, which need no access.
func (h *Health) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := h.Ready(); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		plain(w, http.StatusOK, "ready\n")
	})
	return mux
}

// Metrics returns the handler of /metrics.
func (h *Health) Metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(exposition(h.Samples()))
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// exposition writes samples in the Prometheus text format 0.0.4.
func exposition(samples []Sample) []byte {
	var b bytes.Buffer
	last := ""
	for _, s := range samples {
		if s.Name != last {
			kind := "gauge"
			if bytes.HasSuffix([]byte(s.Name), []byte("_total")) {
				kind = "counter"
			}
			b.WriteString("# HELP " + s.Name + " " + s.Help + "\n# TYPE " + s.Name + " " + kind + "\n")
			last = s.Name
		}
		b.WriteString(s.Name)
		if s.Label != "" {
			b.WriteString("{" + s.Label + "=")
			b.Write(aggregate.AppendString(nil, s.Of))
			b.WriteString("}")
		}
		b.WriteByte(' ')
		b.Write(slices.Concat(strconv.AppendFloat(nil, s.Value, 'g', -1, 64), []byte("\n")))
	}
	return b.Bytes()
}
