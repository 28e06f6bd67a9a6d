package kinesis

import (
	"context"
	"reflect"
	"slices"
	"strconv"
)

// fastPut gives PutRecord or PutRecords a way for JSON on which a batch is both the input
// and the output, and no record costs an allocation. What the scanner is not sure of, and
// CBOR, go the general way.
func fastPut(o *operation, free *batches, rules *putRules, single bool) *operation {
	general := o.run
	o.decodeJSON = func(body []byte) (any, bool) {
		b := free.get()
		b.single = single
		if !b.scan(body, rules) {
			free.put(b)
			return nil, false
		}
		return b, true
	}
	o.valid = func(in any) bool {
		_, scanned := in.(*batch)
		return scanned
	}
	o.run = func(s *Service, ctx context.Context, in any) (any, error) {
		b, ok := in.(*batch)
		if !ok {
			return general(s, ctx, in)
		}
		if err := s.putBatch(ctx, b, nil, false); err != nil {
			free.put(b)
			return nil, err
		}
		return b, nil
	}
	o.appendJSON = func(dst []byte, out any) []byte {
		b, ok := out.(*batch)
		if !ok {
			return appendJSON(dst, o.output, reflect.ValueOf(out).Elem())
		}
		dst = b.appendAnswer(dst)
		free.put(b)
		return dst
	}
	return o
}

// answerSize is about what a record takes in the answer, in bytes.
const answerSize = 128

// appendAnswer writes the answer in JSON, as the general encoder would.
func (b *batch) appendAnswer(dst []byte) []byte {
	if b.single {
		g := &b.groups[b.puts[0].group]
		dst = append(append(dst, `{"ShardId":"`...), g.shard.ID().String()...)
		dst = b.sequence(&b.puts[0]).AppendTo(append(dst, `","SequenceNumber":"`...))
		return b.appendEncryption(append(dst, '"'))
	}
	failed := 0
	for i := range b.puts {
		if b.failure(&b.puts[i]) != nil {
			failed++
		}
	}
	dst = slices.Grow(dst, answerSize*len(b.puts)+64)
	dst = strconv.AppendInt(append(dst, `{"FailedRecordCount":`...), int64(failed), 10)
	dst = append(dst, `,"Records":`...)
	before := byte('[')
	for i := range b.puts {
		dst = append(dst, before)
		before = ','
		p := &b.puts[i]
		if failure := b.failure(p); failure != nil {
			dst = appendString(append(dst, `{"ErrorCode":`...), failure.Code)
			dst = append(appendString(append(dst, `,"ErrorMessage":`...), failure.Message), '}')
			continue
		}
		dst = append(dst, b.entry(p)...)
	}
	return b.appendEncryption(append(dst, ']'))
}

func (b *batch) appendEncryption(dst []byte) []byte {
	if b.encryption != "" {
		dst = append(append(append(dst, `,"EncryptionType":"`...), b.encryption...), '"')
	}
	return append(dst, '}')
}

const entryHead = `{"SequenceNumber":"`

// entry is what the answer says of a record that was put. Of the entries of a group only
// the number differs.
func (b *batch) entry(p *put) []byte {
	g := &b.groups[p.group]
	number := g.numbers.of(b.sequence(p))
	if len(g.text) == 0 {
		g.text = append(append(append(g.text, entryHead...), number...), `","ShardId":"`...)
		g.text = append(append(g.text, g.shard.ID().String()...), `"}`...)
	} else {
		copy(g.text[len(entryHead):], number)
	}
	return g.text
}
