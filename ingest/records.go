package ingest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"freshet/stream"
)

const (
	maxRecords      = 10_000  // of one post of records
	maxRecordBytes  = 1 << 20 // of one of them, as in Kinesis
	maxPartitionKey = 256
)

// RecordsHandler serves POST /api/v1/streams/{stream}/records, for who has records that are
// no points and no client of the Kinesis API. What the body is, its Content-Type says:
//
//	application/json           {"records":[{"key":"…","data":…},…]}; data is a string, or any other JSON, whose text it is
//	application/x-ndjson       a record a line
//	any other                  one record
//
// The query's key is the partition key of records that say none; without it the records of
// a post share a random one, and so stay in order on one shard. The answer is 200
// {"accepted":n,"covers":{shard:sequence number}} once all of them are durable, and else
// {"error":"…"} as for points: 400, 404, 413, 429 and 503.
func (in *Ingest) RecordsHandler(log *stream.Log) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, answer, err := in.serveRecords(log, w, r)
		if err != nil {
			var p *problem
			status = http.StatusServiceUnavailable
			switch {
			case errors.As(err, &p):
				status = p.status
			case errors.Is(err, stream.ErrOverloaded):
				status = http.StatusTooManyRequests
				w.Header().Set("Retry-After", "1")
			}
			answer = map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // the client has left; there is nobody to tell
	})
}

func (in *Ingest) serveRecords(log *stream.Log, w http.ResponseWriter, r *http.Request) (int, any, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return 0, nil, refuse(http.StatusMethodNotAllowed, "method: must be POST, got %s", r.Method)
	}
	name := r.PathValue("stream")
	to, ok := log.Stream(name)
	if !ok {
		return 0, nil, refuse(http.StatusNotFound, "there is no stream %.140q", name)
	}
	key := r.URL.Query().Get("key")
	if len(key) > maxPartitionKey {
		return 0, nil, refuse(http.StatusBadRequest, "key: at most %d bytes, got %d", maxPartitionKey, len(key))
	}
	if key == "" {
		key = rand.Text()
	}
	var b body
	defer b.release(in)
	data, err := b.read(w, r, in)
	if err != nil {
		return 0, nil, err
	}
	entries, err := readRecords(data, r.Header.Get("Content-Type"), key)
	if err != nil {
		return 0, nil, err
	}
	covers, err := appendRecords(r.Context(), to, entries)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"accepted": len(entries), "covers": covers}, nil
}

// readRecords takes a body apart.
func readRecords(data []byte, contentType, key string) ([]stream.Entry, error) {
	media, _, _ := mime.ParseMediaType(contentType)
	var entries []stream.Entry
	switch media {
	case "application/json":
		var ask struct {
			Records []struct {
				Key  string          `json:"key"`
				Data json.RawMessage `json:"data"`
			} `json:"records"`
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&ask); err != nil {
			return nil, refuse(http.StatusBadRequest, `body: is not {"records":[{"key":"…","data":…}]}: %v; nothing was stored`, err)
		}
		for i, r := range ask.Records {
			text := []byte(r.Data)
			if bytes.HasPrefix(text, []byte(`"`)) {
				var s string
				if err := json.Unmarshal(text, &s); err != nil {
					return nil, refuse(http.StatusBadRequest, "records[%d].data: %v; nothing was stored", i, err)
				}
				text = []byte(s)
			}
			if r.Key == "" {
				r.Key = key
			}
			entries = append(entries, stream.Entry{PartitionKey: r.Key, Data: text})
		}
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		for line := range bytes.Lines(data) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				entries = append(entries, stream.Entry{PartitionKey: key, Data: line})
			}
		}
	default:
		entries = []stream.Entry{{PartitionKey: key, Data: data}}
	}
	return entries, checkRecords(entries)
}

func checkRecords(entries []stream.Entry) error {
	if len(entries) == 0 || len(entries) > maxRecords {
		return refuse(http.StatusBadRequest, "body: must hold 1 to %d records, got %d", maxRecords, len(entries))
	}
	for i := range entries {
		e := &entries[i]
		if len(e.Data) == 0 || len(e.Data) > maxRecordBytes {
			return refuse(http.StatusBadRequest, "record %d: must have 1 to %d bytes, got %d; nothing was stored", i, maxRecordBytes, len(e.Data))
		}
		if len(e.PartitionKey) > maxPartitionKey || strings.ToValidUTF8(e.PartitionKey, "") != e.PartitionKey {
			return refuse(http.StatusBadRequest, "record %d: the key must be UTF-8 of at most %d bytes, got %.40q; nothing was stored", i, maxPartitionKey, e.PartitionKey)
		}
	}
	return nil
}

// appendRecords appends records and returns, by shard, the sequence number of the last.
func appendRecords(ctx context.Context, to *stream.Stream, entries []stream.Entry) (map[string]string, error) {
	last, rest, err := to.Put(ctx, entries)
	if errors.Is(err, stream.ErrOverloaded) && len(rest) < len(entries) {
		return nil, fmt.Errorf("%d of the records may be stored, the log has too much to write for the others", len(entries)-len(rest))
	}
	if err != nil {
		return nil, err
	}
	covers := make(map[string]string, len(last))
	for id, n := range last {
		covers[id.String()] = n.String()
	}
	return covers, nil
}
