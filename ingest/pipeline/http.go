package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

const (
	maxBody    = 4 << 20 // of a request
	maxSamples = 1000    // records of a test
)

// Handler serves /api/v1/pipelines and what is below it. It leaves access to whoever
// mounts it; only GET changes nothing.
func (s *Pipelines) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(*http.Request) (int, any, error){
		"GET /api/v1/pipelines":           s.serveList,
		"POST /api/v1/pipelines/test":     s.serveTest,
		"GET /api/v1/pipelines/{name}":    s.serveGet,
		"PUT /api/v1/pipelines/{name}":    s.servePut,
		"DELETE /api/v1/pipelines/{name}": s.serveDelete,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			status, answer, err := serve(r)
			if err != nil {
				status, answer = explain(err)
			}
			reply(w, status, answer)
		})
	}
	for pattern, allow := range map[string]string{"/api/v1/pipelines": "GET", "/api/v1/pipelines/{name}": "GET, PUT, DELETE"} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			reply(w, http.StatusMethodNotAllowed, problem(fmt.Sprintf("method %s is not allowed here; use %s", r.Method, allow)))
		})
	}
	return mux
}

func problem(text string) any { return map[string]string{"error": text} }

func reply(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(answer) // the client has left; there is nobody to tell
}

// A badRequest is an error in what a client sent.
type badRequest struct{ error }

func (b badRequest) Unwrap() error { return b.error }

// explain returns the status and the body for an error.
func explain(err error) (int, any) {
	var bad badRequest
	var definition *DefinitionError
	var large *http.MaxBytesError
	status := http.StatusInternalServerError
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, problem(fmt.Sprintf("the body is larger than the limit of %d bytes", large.Limit))
	case errors.As(err, &bad), errors.As(err, &definition):
		status = http.StatusBadRequest
	case errors.Is(err, ErrNoPipeline):
		status = http.StatusNotFound
	case errors.Is(err, ErrFromFile), errors.Is(err, ErrTooMany):
		status = http.StatusConflict
	}
	return status, problem(err.Error())
}

func (s *Pipelines) serveList(*http.Request) (int, any, error) {
	return http.StatusOK, map[string]any{"pipelines": s.List()}, nil
}

func (s *Pipelines) serveGet(r *http.Request) (int, any, error) {
	d, ok := s.Get(r.Context(), r.PathValue("name"))
	if !ok {
		return 0, nil, fmt.Errorf("%.80q: %w", r.PathValue("name"), ErrNoPipeline)
	}
	return http.StatusOK, d, nil
}

// servePut takes a definition in JSON or, if the Content-Type says so, TOML.
func (s *Pipelines) servePut(r *http.Request) (int, any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, badRequest{fmt.Errorf("the body could not be read: %w", err)}
	}
	d, err := readOne(body, r.Header.Get("Content-Type"), r.PathValue("name"))
	if err != nil {
		return 0, nil, badRequest{err}
	}
	if d.Name != r.PathValue("name") {
		return 0, nil, badRequest{fmt.Errorf("name: the path says %.80q, the definition %.80q", r.PathValue("name"), d.Name)}
	}
	created, err := s.Put(r.Context(), d)
	if err != nil {
		return 0, nil, err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	detail, _ := s.Get(r.Context(), d.Name)
	return status, detail, nil
}

// readOne reads a definition of a media type.
func readOne(text []byte, contentType, name string) (*Definition, error) {
	media, _, _ := mime.ParseMediaType(contentType)
	if media != "application/toml" && media != "text/toml" {
		return Parse(text, name)
	}
	all, err := Read(text, name)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("there are %d definitions, one is expected", len(all))
	}
	return all[0], nil
}

func (s *Pipelines) serveDelete(r *http.Request) (int, any, error) {
	name := r.PathValue("name")
	if err := s.Delete(r.Context(), name); err != nil {
		return 0, nil, fmt.Errorf("%.80q: %w", name, err)
	}
	return http.StatusNoContent, nil, nil
}

// A testRequest asks what a definition makes of records. A record is a string, which is
// its bytes, or any other JSON, whose text is its bytes.
type testRequest struct {
	Definition json.RawMessage   `json:"definition"`
	TOML       string            `json:"toml"` // instead of it
	Records    []json.RawMessage `json:"records"`
	Key        string            `json:"key"` // the partition key of the records
}

func (s *Pipelines) serveTest(r *http.Request) (int, any, error) {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	var ask testRequest
	if err := decoder.Decode(&ask); err != nil {
		return 0, nil, badRequest{fmt.Errorf("the body is not {\"definition\" or \"toml\", \"records\", \"key\"}: %w", err)}
	}
	if (len(ask.Definition) > 0) == (ask.TOML != "") {
		return 0, nil, badRequest{errors.New("definition: it is given as that or as toml, and not as both")}
	}
	if len(ask.Records) > maxSamples {
		return 0, nil, badRequest{fmt.Errorf("records: at most %d, got %d", maxSamples, len(ask.Records))}
	}
	var d *Definition
	var err error
	if ask.TOML != "" {
		d, err = readOne([]byte(ask.TOML), "application/toml", "test")
	} else {
		d, err = Parse(ask.Definition, "test")
	}
	if err != nil {
		return 0, nil, badRequest{err}
	}
	p, err := Compile(d)
	if err != nil {
		return 0, nil, err
	}
	m, tried := p.Machine(), make([]Tried, 0, len(ask.Records))
	for _, text := range ask.Records {
		data := []byte(text)
		if bytes.HasPrefix(data, []byte(`"`)) {
			var raw string
			if err := json.Unmarshal(data, &raw); err != nil {
				return 0, nil, badRequest{fmt.Errorf("records: %w", err)}
			}
			data = []byte(raw)
		}
		tried = append(tried, m.Try(&Input{
			Data: data, Key: []byte(ask.Key), Arrived: time.Now().UnixMilli(), Stream: d.Stream, Shard: "shardId-000000000000",
		}))
	}
	return http.StatusOK, map[string]any{"records": tried}, nil
}
