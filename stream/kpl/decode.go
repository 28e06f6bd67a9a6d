package kpl

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Magic begins an aggregated record.
const Magic = "\xf3\x89\x9a\xc2"

const (
	// MaxBytes is the size of the greatest aggregated record that is read: that of the
	// greatest record of a stream.
	MaxBytes = 10 << 20
	// MaxRecords is how many user records one aggregated record may hold. The KPL packs at
	// most 1 MiB, which has room for 174,000 records of no bytes.
	MaxRecords = 1 << 18
)

// The fields of the two messages.
const (
	fieldKeys    = 1 // of AggregatedRecord
	fieldHashes  = 2
	fieldRecords = 3

	fieldKey  = 1 // of Record
	fieldHash = 2
	fieldData = 3
)

// A Record is a user record.
type Record struct {
	PartitionKey    string
	ExplicitHashKey string // decimal; "" if the record has none
	Data            []byte
}

// ErrNotAggregate is the error of Decode for a record that merely looks like an aggregate:
// the magic is missing, nothing stands behind it, or the digest is that of other bytes. It
// is a plain record, whatever it begins with; Amazon's consumers treat it as one, too.
var ErrNotAggregate = errors.New("kpl: not an aggregated record")

// IsAggregated reports whether data begins like an aggregated record and is long enough
// to be one. Only Decode, which looks at the digest, can tell for sure.
func IsAggregated(data []byte) bool {
	return len(data) > len(Magic)+md5.Size && string(data[:len(Magic)]) == Magic
}

// Decode appends the user records in data to dst. Their Data is part of data; their keys
// share one string. It allocates that string, room in dst, and tables of keys where an
// aggregate has more than 64.
//
// An error that is ErrNotAggregate means that data is a plain record. Any other names what
// is wrong inside an aggregate whose digest is right. dst is returned as it was then.
func Decode(dst []Record, data []byte) ([]Record, error) {
	message, err := open(data)
	if err != nil {
		return dst, err
	}
	n, err := count(message)
	if err != nil {
		return dst, fmt.Errorf("kpl: aggregated record of %d bytes: %w", len(data), err)
	}
	// Small tables live on the stack.
	var keyRoom, hashRoom [64]string
	t := tables{keys: keyRoom[:0], hashes: hashRoom[:0]}
	if n.keys > len(keyRoom) {
		t.keys = make([]string, 0, n.keys)
	}
	if n.hashes > len(hashRoom) {
		t.hashes = make([]string, 0, n.hashes)
	}
	t = t.fill(message, n.text)
	out := slices.Grow(dst, n.records)
	for b := message; len(b) > 0; {
		field, value, size := consumeBytes(b)
		b = b[size:]
		if field != fieldRecords {
			continue
		}
		r, err := t.record(value)
		if err != nil {
			return dst, fmt.Errorf("kpl: user record %d of %d: %w", len(out)-len(dst), n.records, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// open returns the message in an aggregated record.
func open(data []byte) ([]byte, error) {
	if !IsAggregated(data) {
		return nil, ErrNotAggregate
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("kpl: an aggregated record has at most %d bytes, got %d", MaxBytes, len(data))
	}
	message, digest := data[len(Magic):len(data)-md5.Size], data[len(data)-md5.Size:]
	if sum := md5.Sum(message); !bytes.Equal(sum[:], digest) {
		return nil, ErrNotAggregate
	}
	return message, nil
}

// counts are how much there is in a message.
type counts struct {
	keys, hashes, records int
	text                  int // bytes in both tables
}

// count looks that a message is made of whole fields, and counts them.
func count(message []byte) (counts, error) {
	var n counts
	for b := message; len(b) > 0; {
		field, value, size := consumeBytes(b)
		if size < 0 {
			return n, fmt.Errorf("byte %d of the message: %w", len(message)-len(b), protowire.ParseError(size))
		}
		b = b[size:]
		switch field {
		case fieldKeys:
			n.keys++
			n.text += len(value)
		case fieldHashes:
			n.hashes++
			n.text += len(value)
		case fieldRecords:
			n.records++
		}
		// A table that is longer than the records are many has entries that nobody uses.
		if n.records > MaxRecords || n.keys > MaxRecords || n.hashes > MaxRecords {
			return n, fmt.Errorf("more than %d user records or keys", MaxRecords)
		}
	}
	return n, nil
}

// consumeBytes reads the field at the start of b. Its number is 0 if it is not made of
// bytes; its size is negative if it is not whole.
func consumeBytes(b []byte) (field protowire.Number, value []byte, size int) {
	field, kind, n := protowire.ConsumeTag(b)
	if n < 0 {
		return 0, nil, n
	}
	if kind != protowire.BytesType {
		m := protowire.ConsumeFieldValue(field, kind, b[n:])
		if m < 0 {
			return 0, nil, m
		}
		return 0, nil, n + m
	}
	value, m := protowire.ConsumeBytes(b[n:])
	if m < 0 {
		return 0, nil, m
	}
	return field, value, n + m
}

// tables are the keys to which records point.
type tables struct{ keys, hashes []string }

// fill reads both tables of a message that count has seen. All keys are parts of one
// string of text bytes. (t is passed by value: behind a pointer it would leave the stack.)
func (t tables) fill(message []byte, text int) tables {
	var all strings.Builder
	all.Grow(text)
	for b := message; len(b) > 0; {
		field, value, size := consumeBytes(b)
		b = b[size:]
		if field != fieldKeys && field != fieldHashes {
			continue
		}
		start := all.Len()
		all.Write(value)
		s := all.String()[start:] // all does not move: it has room for every key
		if field == fieldKeys {
			t.keys = append(t.keys, s)
		} else {
			t.hashes = append(t.hashes, s)
		}
	}
	return t
}

// record reads a Record.
func (t tables) record(b []byte) (Record, error) {
	var r Record
	var hasKey, hasHash, hasData bool
	var key, hash uint64
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return r, protowire.ParseError(n)
		}
		b = b[n:]
		switch {
		case field == fieldKey && kind == protowire.VarintType:
			key, n = protowire.ConsumeVarint(b)
			hasKey = true
		case field == fieldHash && kind == protowire.VarintType:
			hash, n = protowire.ConsumeVarint(b)
			hasHash = true
		case field == fieldData && kind == protowire.BytesType:
			r.Data, n = protowire.ConsumeBytes(b)
			hasData = true
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return r, protowire.ParseError(n)
		}
		b = b[n:]
	}
	switch {
	case !hasKey:
		return r, errors.New("partition_key_index is missing")
	case !hasData:
		return r, errors.New("data is missing")
	case key >= uint64(len(t.keys)):
		return r, fmt.Errorf("partition_key_index: must be below %d, got %d", len(t.keys), key)
	case hasHash && hash >= uint64(len(t.hashes)):
		return r, fmt.Errorf("explicit_hash_key_index: must be below %d, got %d", len(t.hashes), hash)
	}
	r.PartitionKey = t.keys[key]
	if hasHash {
		r.ExplicitHashKey = t.hashes[hash]
	}
	return r, nil
}
