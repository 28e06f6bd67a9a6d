package ingest

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"freshet/ingest/point"
)

// ServeHTTP serves POST /api/v1/points. The body is a point, an array of points or NDJSON, or,
// with Content-Type application/vnd.freshet.batch, a batch; it may be compressed with gzip or zstd.
//
// The answer is 200 {"accepted":n}, with "rejected" and "errors" when some points were refused. If
// all were, or the body is malformed, it is 400; a method other than POST is 405, a body too large
// 413, an encoding or media type that is not known 415, over capacity 429 with Retry-After, and 503
// when the log cannot write. All but the first carry {"error":"…"}.
func (in *Ingest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := in.newRequest()
	defer req.free()
	status := http.StatusOK
	if err := req.serve(w, r); err != nil {
		status = req.explain(w, r, err)
	}
	in.counters.posts.Add(1)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(req.answer)))
	w.WriteHeader(status)
	w.Write(req.answer) // an error here is the sender's to see
}

// A problem is an error that has a status of its own.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

func refuse(status int, format string, args ...any) error {
	return &problem{status, fmt.Sprintf(format, args...)}
}

// errAllRefused is the error of a post of which no point was accepted. Its answer is written.
var errAllRefused = errors.New("no point was accepted")

// A request is what it takes to serve one. Its memory is used again.
type request struct {
	in      *Ingest
	body    body
	scanner point.Scanner
	view    point.View
	batch   point.Batch
	answer  []byte
}

func (in *Ingest) newRequest() *request {
	req, _ := in.requests.Get().(*request)
	if req == nil {
		req = &request{in: in}
		req.scanner.Use(in.labels)
	}
	return req
}

func (req *request) free() {
	req.body.release(req.in)
	req.scanner.Reset(nil, 0)
	req.batch.Reset()
	req.view = point.View{Labels: req.view.Labels[:0]}
	if cap(req.body.buf)+cap(req.batch.Time)*16 <= maxKept {
		req.in.requests.Put(req)
	}
}

// serve takes the points of r and writes req.answer.
func (req *request) serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return refuse(http.StatusMethodNotAllowed, "method: must be POST, got %s", r.Method)
	}
	binary, err := isBatch(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	key, err := headerKey(r)
	if err != nil {
		return err
	}
	covers, err := wantsCovers(r, key)
	if err != nil {
		return err
	}
	data, err := req.body.read(w, r, req.in)
	if err != nil {
		return err
	}
	post := req.in.NewPost()
	defer post.Free()
	post.SetKey(key)
	if binary {
		err = req.readBatch(data, post)
	} else {
		err = req.readJSON(data, post)
	}
	if err != nil {
		return err
	}
	result, err := post.Commit(r.Context())
	if err != nil {
		return err
	}
	req.writeAnswer(&result)
	if covers && result.Accepted > 0 {
		req.answer = append(appendCovers(req.answer[:len(req.answer)-len("}\n")], post.Covers()), '}', '\n')
	}
	if result.Accepted == 0 && result.Rejected > 0 {
		return errAllRefused
	}
	return nil
}

// isBatch reports whether a body of this type is a batch rather than JSON.
func isBatch(contentType string) (bool, error) {
	switch contentType {
	case "", "application/json", "application/x-www-form-urlencoded": // the last is what curl -d says
		return false, nil
	case point.ContentType:
		return true, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err == nil || errors.Is(err, mime.ErrInvalidMediaParameter) {
		switch media {
		case point.ContentType:
			return true, nil
		case "application/json", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines",
			"application/x-www-form-urlencoded", "application/octet-stream", "text/plain", "text/json":
			return false, nil
		}
	}
	return false, refuse(http.StatusUnsupportedMediaType,
		"Content-Type: must be application/json, application/x-ndjson or %s, got %.100q", point.ContentType, contentType)
}

// readJSON adds the points of a JSON body.
func (req *request) readJSON(data []byte, post *Post) error {
	s := &req.scanner
	s.Reset(data, post.Now())
	for {
		err := s.Next(&req.view)
		if err == nil {
			post.Add(s.Index(), &req.view)
			continue
		}
		if err == io.EOF {
			break
		}
		if syntax, ok := err.(*point.SyntaxError); ok {
			return refuse(http.StatusBadRequest, "%v; nothing was stored", syntax)
		}
		post.Refuse(s.Index(), err)
	}
	if s.Empty() {
		return refuse(http.StatusBadRequest, "body: is empty, expected a point, an array of points or a point a line")
	}
	return nil
}

// readBatch adds the points of a batch.
func (req *request) readBatch(data []byte, post *Post) error {
	if err := req.batch.Decode(data); err != nil {
		return refuse(http.StatusBadRequest, "%v; nothing was stored", err)
	}
	if post.key == (point.Key{}) {
		post.SetKey(bodyKey(req.batch.Mark))
	}
	post.AddBatch(&req.batch)
	return nil
}

// writeAnswer writes what became of the points.
func (req *request) writeAnswer(result *Result) {
	a := append(req.answer[:0], '{')
	if result.Accepted == 0 && result.Rejected > 0 {
		a = append(a, `"error":`...)
		a = appendString(a, fmt.Sprintf("no point was accepted, %d refused; the first: %v", result.Rejected, result.Errors[0].Err))
		a = append(a, ',')
	}
	a = append(a, `"accepted":`...)
	a = strconv.AppendInt(a, int64(result.Accepted), 10)
	if result.Rejected > 0 {
		a = append(a, `,"rejected":`...)
		a = strconv.AppendInt(a, int64(result.Rejected), 10)
		a = append(a, `,"errors":[`...)
		for i, e := range result.Errors {
			if i > 0 {
				a = append(a, ',')
			}
			a = append(a, `{"index":`...)
			a = strconv.AppendInt(a, int64(e.Index), 10)
			a = append(a, `,"error":`...)
			a = appendString(a, e.Err.Error())
			a = append(a, '}')
		}
		a = append(a, ']')
	}
	req.answer = append(a, '}', '\n')
}

// explain writes the answer to a request that failed and returns its status.
func (req *request) explain(w http.ResponseWriter, r *http.Request, err error) int {
	if err == errAllRefused {
		return http.StatusBadRequest
	}
	status, text := http.StatusServiceUnavailable, ""
	var p *problem
	switch {
	case errors.As(err, &p):
		status, text = p.status, p.text
	case errors.Is(err, ErrOverloaded):
		status, text = http.StatusTooManyRequests, "the log has too much to write, nothing was stored; send again after a second"
	case r.Context().Err() != nil:
		text = "the request ended before the points were durable; whether they are stored is unknown; with an Idempotency-Key they can be sent again and count once"
	default:
		text = "the log cannot write, some of the points may be stored: " + err.Error()
	}
	switch status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusUnsupportedMediaType:
		w.Header().Set("Accept-Encoding", "gzip, zstd")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
		req.in.counters.failed.Add(1)
	case http.StatusServiceUnavailable:
		req.in.counters.failed.Add(1)
	}
	a := append(req.answer[:0], `{"error":`...)
	a = appendString(a, text)
	req.answer = append(a, '}', '\n')
	return status
}

// appendString appends s as JSON. Invalid UTF-8 becomes U+FFFD.
func appendString(a []byte, s string) []byte {
	a = append(a, '"')
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case r == '"' || r == '\\':
			a = append(a, '\\', byte(r))
		case r == '\n':
			a = append(a, '\\', 'n')
		case r < ' ' || r == 0x7f || r == '<' || r == '>' || r == '\u2028' || r == '\u2029':
			a = fmt.Appendf(a, `\u%04x`, r)
		default:
			a = append(a, string(r)...)
		}
	}
	return append(a, '"')
}
