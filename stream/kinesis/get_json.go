package kinesis

import (
	"context"
	"encoding/base64"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"freshet/stream"
)

// A recordsJSON is the answer to a GetRecords in JSON, written while the records are read
// and without an allocation a record. It is written as the general encoder would.
type recordsJSON struct {
	text       []byte
	first      bool
	numbers    numbers
	encryption string
}

// record implements recordSink.
func (a *recordsJSON) record(sh *stream.Shard, r *stream.Record) {
	dst := a.text
	if !a.first {
		dst = append(dst, ',')
	}
	a.first = false
	dst = append(dst, entryHead...)
	dst = append(dst, a.numbers.of(sh.SequenceNumber(r.Offset, r.Arrived))...)
	dst = append(dst, `"`...)
	if r.Arrived != 0 {
		dst = appendSeconds(append(dst, `,"ApproximateArrivalTimestamp":`...), Timestamp(r.Arrived))
	}
	dst = base64.StdEncoding.AppendEncode(append(dst, `,"Data":"`...), r.Data)
	dst = appendKey(append(dst, `","PartitionKey":`...), r.PartitionKey)
	if a.encryption != "" {
		dst = append(append(append(dst, `,"EncryptionType":"`...), a.encryption...), '"')
	}
	a.text = append(dst, '}')
}

// appendKey writes a partition key as a JSON string.
func appendKey(dst, key []byte) []byte {
	for _, c := range key {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendString(dst, string(key))
		}
	}
	return append(append(append(dst, '"'), key...), '"')
}

// fastGet gives GetRecords a way for JSON on which the output is the text of the answer.
func fastGet(o *operation) *operation {
	general := o.run
	free := &sync.Pool{}
	o.decodeJSON = func(body []byte) (any, bool) { return scanGet(body) }
	o.valid = func(in any) bool {
		_, scanned := in.(*getInput)
		return scanned
	}
	o.run = func(s *Service, ctx context.Context, in any) (any, error) {
		scanned, ok := in.(*getInput)
		if !ok {
			return general(s, ctx, in)
		}
		a, ok := free.Get().(*recordsJSON)
		if !ok {
			a = &recordsJSON{}
		}
		if err := s.getJSON(ctx, &scanned.GetRecordsInput, a); err != nil {
			return nil, err
		}
		return a, nil
	}
	o.appendJSON = func(dst []byte, out any) []byte {
		a, ok := out.(*recordsJSON)
		if !ok {
			return appendJSON(dst, o.output, reflect.ValueOf(out).Elem())
		}
		if len(dst) == 0 { // then the buffers can change hands
			dst, a.text = a.text, dst
		} else {
			dst = append(dst, a.text...)
		}
		if cap(a.text) <= maxPooledBuffer {
			free.Put(a)
		}
		return dst
	}
	return o
}

func (s *Service) getJSON(ctx context.Context, in *GetRecordsInput, a *recordsJSON) error {
	*a = recordsJSON{text: append(a.text[:0], `{"Records":[`...), first: true}
	r, err := s.get(ctx, in, func(st *streamState) recordSink {
		a.encryption = shownEncryption(st)
		return a
	})
	if err != nil {
		return err
	}
	a.text = append(a.text, ']')
	if !r.ended {
		a.text = s.appendIterator(append(a.text, `,"NextShardIterator":"`...), r.st, r.shard, r.next, s.options.Now())
		a.text = append(a.text, '"')
	}
	a.text = strconv.AppendInt(append(a.text, `,"MillisBehindLatest":`...), r.behind, 10)
	if r.ended {
		if children := childShards(r.st, r.shard); len(children) > 0 {
			a.text = append(a.text, `,"ChildShards":`...)
			a.text = appendJSON(a.text, shapeOf(reflect.TypeFor[[]ChildShard]()), reflect.ValueOf(children))
		}
	}
	a.text = append(a.text, '}')
	return nil
}

// A getInput is an input that was scanned and satisfies the constraints.
type getInput struct{ GetRecordsInput }

// scanGet reads what most bodies of GetRecords are: an iterator, and a limit.
func scanGet(body []byte) (*getInput, bool) {
	in := &getInput{}
	s := putScanner{body: body, batch: &batch{}}
	if !s.eat('{') {
		return nil, false
	}
	for {
		name, ok := s.member()
		switch {
		case !ok:
			return nil, false
		case name == "ShardIterator" && in.ShardIterator == nil:
			text, ok := s.text()
			if !ok || len(text) == 0 || len(text) > 512 {
				return nil, false
			}
			in.ShardIterator = new(string(text))
		case name == "Limit" && in.Limit == nil:
			n, ok := s.number()
			if !ok || n < 1 || n > maxGetRecords {
				return nil, false
			}
			in.Limit = &n
		default:
			return nil, false
		}
		if !s.eat(',') {
			break
		}
	}
	if !s.eat('}') || in.ShardIterator == nil {
		return nil, false
	}
	s.space()
	return in, s.at == len(body)
}

// number reads a whole number of at most five digits.
func (s *putScanner) number() (int, bool) {
	s.space()
	rest := s.body[s.at:]
	end := slices.IndexFunc(rest, func(c byte) bool { return c < '0' || c > '9' })
	if end < 1 || end > 5 || rest[0] == '0' || rest[end] != ',' && rest[end] != '}' && rest[end] > ' ' {
		return 0, false
	}
	n, err := strconv.Atoi(string(rest[:end]))
	s.at += end
	return n, err == nil
}
