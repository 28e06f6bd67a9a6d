package web

import (
	"log/slog"
	"net/http"
	"strings"

	"freshet/aggregate"
)

// A QuarantineAPI answers GET /api/v1/quarantine: the last records of the stream of which
// not all could be counted, oldest first, and why. It leaves access to whoever mounts it.
type QuarantineAPI struct {
	Engine *aggregate.Engine
	Logger *slog.Logger // nil discards
}

type quarantined struct {
	Shard   string `json:"shard"`
	Seq     uint64 `json:"seq"` // running index in the shard
	Arrived int64  `json:"arrived"`
	Size    int    `json:"size"`
	Head    string `json:"head"` // what is not UTF-8 is U+FFFD
	Refused int    `json:"refused,omitempty"`
	Reason  string `json:"reason"`
}

// ServeHTTP lists them.
func (a *QuarantineAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	apiHandler(a.Logger, func(w http.ResponseWriter, r *http.Request) error {
		if err := allow(w, r, http.MethodGet); err != nil {
			return err
		}
		records := []quarantined{}
		for _, q := range a.Engine.Quarantined() {
			records = append(records, quarantined{
				q.Shard.String(), uint64(q.Offset), q.Arrived, q.Size, strings.ToValidUTF8(string(q.Head), "\ufffd"), q.Refused, q.Reason,
			})
		}
		writeJSON(w, http.StatusOK, map[string]any{"records": records})
		return nil
	}).ServeHTTP(w, r)
}
