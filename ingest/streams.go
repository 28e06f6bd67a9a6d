package ingest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"freshet/stream"
)

// maxNewShards bounds the shards of a stream that is made over HTTP.
const maxNewShards = 256

// A StreamInfo is a stream as GET /api/v1/streams shows it.
type StreamInfo struct {
	Name    string `json:"name"`
	Shards  int    `json:"shards"`  // that take records
	Records uint64 `json:"records"` // that are kept
}

// StreamsHandler serves GET /api/v1/streams, which lists the streams, and PUT
// /api/v1/streams/{stream} with {"shards":n}, which makes one: 201, or 200 when it is there
// already, whatever its shards.
func StreamsHandler(log *stream.Log) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, answer := serveStreams(log, w, r)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // the client has left; there is nobody to tell
	})
}

func serveStreams(log *stream.Log, w http.ResponseWriter, r *http.Request) (int, any) {
	problem := func(status int, text string) (int, any) { return status, map[string]string{"error": text} }
	name := r.PathValue("stream")
	switch {
	case r.Method == http.MethodGet && name == "":
		all := []StreamInfo{}
		for _, s := range log.Streams() {
			all = append(all, infoOf(s))
		}
		return http.StatusOK, map[string]any{"streams": all}
	case r.Method != http.MethodPut || name == "":
		allow := http.MethodPut
		if name == "" {
			allow = http.MethodGet
		}
		w.Header().Set("Allow", allow)
		return problem(http.StatusMethodNotAllowed, "method "+r.Method+" is not allowed here; use "+allow)
	}
	ask := struct {
		Shards int `json:"shards"`
	}{1}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&ask); err != nil && err != io.EOF {
		return problem(http.StatusBadRequest, `the body is not {"shards":n}: `+err.Error())
	}
	if ask.Shards < 1 || ask.Shards > maxNewShards {
		return problem(http.StatusBadRequest, "shards: must be 1 to 256")
	}
	made, err := log.Create(name, ask.Shards)
	switch {
	case err == nil:
		return http.StatusCreated, infoOf(made)
	case errors.Is(err, stream.ErrStreamExists):
		if there, ok := log.Stream(name); ok {
			return http.StatusOK, infoOf(there)
		}
	case errors.Is(err, stream.ErrBadName):
		return problem(http.StatusBadRequest, err.Error())
	}
	return problem(http.StatusServiceUnavailable, err.Error())
}

func infoOf(s *stream.Stream) StreamInfo {
	info := StreamInfo{Name: s.Name(), Shards: len(s.OpenShards())}
	for _, sh := range s.Shards() {
		info.Records += uint64(sh.Durable() - sh.Horizon())
	}
	return info
}
