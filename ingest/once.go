package ingest

import (
	"crypto/sha256"
	"net/http"
	"net/url"

	"freshet/ingest/point"
	"freshet/stream"
)

// maxKeyBytes is how long an Idempotency-Key is at most.
const maxKeyBytes = 255

// keyedBytes is how much of a post with a key one shard takes: it is submitted at once.
const keyedBytes = 12 << 20

// A Cover says how far a shard has to be read to have read a post.
type Cover struct {
	Shard    stream.ShardID
	Sequence stream.SequenceNumber // of the last record of the post there
}

// headerKey returns the key that a request names, the zero Key if none.
func headerKey(r *http.Request) (point.Key, error) {
	values := r.Header["Idempotency-Key"]
	if len(values) == 0 {
		return point.Key{}, nil
	}
	name := values[0]
	if len(values) > 1 {
		return point.Key{}, refuse(http.StatusBadRequest, "Idempotency-Key: must be there once, got %d", len(values))
	}
	if len(name) == 0 || len(name) > maxKeyBytes {
		return point.Key{}, refuse(http.StatusBadRequest, "Idempotency-Key: must have 1 to %d bytes, got %d", maxKeyBytes, len(name))
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return point.Key{}, refuse(http.StatusBadRequest, "Idempotency-Key: must be printable ASCII, got %.100q", name)
		}
	}
	sum := sha256.Sum256([]byte(name))
	return point.KeyOf([16]byte(sum[:16]), 0), nil
}

// bodyKey returns the key of a batch that is posted, the zero Key if none.
func bodyKey(m point.Mark) point.Key {
	if m.Key == (point.Key{}) || m.Home == 0 {
		return m.Key
	}
	// A record of a log: its post has others with the same key.
	return m.Key.With(uint64(m.Home)).With(uint64(m.Part))
}

// wantsCovers reports whether the answer is to say where the post is.
func wantsCovers(r *http.Request, key point.Key) (bool, error) {
	if r.URL.RawQuery == "" {
		return key != point.Key{}, nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return false, refuse(http.StatusBadRequest, "query: %v", err)
	}
	switch covers := query.Get("covers"); covers {
	case "":
		return key != point.Key{}, nil
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	default:
		return false, refuse(http.StatusBadRequest, "covers: must be 1 or 0, got %.100q", covers)
	}
}

// SetKey names the post, before its first point: if it is sent again with the same key, the
// points are counted once. The zero Key names none.
func (p *Post) SetKey(key point.Key) { p.key = key }

// Covers returns where the post is. Commit has returned nil.
func (p *Post) Covers() []Cover {
	var out []Cover
	for i := range p.parts {
		part := &p.parts[i]
		if len(part.commits) == 0 {
			continue
		}
		c := part.commits[len(part.commits)-1]
		last := part.last
		out = append(out, Cover{part.shard.ID(), part.shard.SequenceNumber(last, c.Arrived())})
	}
	return out
}

// mark returns the mark of the next record of a part.
func (p *Post) mark(part *part) point.Mark {
	if p.key == (point.Key{}) {
		return point.Mark{}
	}
	return point.Mark{Key: p.key, Home: uint32(part.shard.ID()) + 1, Part: uint32(len(part.records))}
}

// appendCovers writes where a post is.
func appendCovers(a []byte, covers []Cover) []byte {
	a = append(a, `,"covers":{`...)
	for i, c := range covers {
		if i > 0 {
			a = append(a, ',')
		}
		a = append(append(append(a, '"'), c.Shard.String()...), `":"`...)
		a = append(c.Sequence.AppendTo(a), '"')
	}
	return append(a, '}')
}
