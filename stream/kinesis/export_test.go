package kinesis

import (
	"crypto/cipher"

	"freshet/stream"
)

// A Scanner reads bodies of PutRecords, into the same batch again and again.
type Scanner struct {
	batch batch
	rules *putRules
}

func NewScanner() *Scanner { return &Scanner{rules: newPutRules()} }

// Scan returns the number of records, and whether the scanner took the body.
func (s *Scanner) Scan(body []byte) (int, bool) {
	s.batch.reset()
	ok := s.batch.scan(body, s.rules)
	return len(s.batch.puts), ok
}

// DecodeBase64 decodes as the scanner does.
func DecodeBase64(text string) ([]byte, bool) {
	dst := make([]byte, len(text)/4*3)
	n, ok := newBase64Table().decode(dst, []byte(text))
	return dst[:n], ok
}

// Numbers writes sequence numbers that follow each other.
type Numbers struct{ n numbers }

func (n *Numbers) Of(q stream.SequenceNumber) string { return string(n.n.of(q)) }

// An Iterator is what a shard iterator holds.
type Iterator struct {
	Number uint64
	Name   string
	Shard  stream.ShardID
	Offset stream.Offset
	Issued int64
}

func IteratorSeal(secret []byte) cipher.AEAD { return iteratorSeal(secret) }

func (it Iterator) Seal(seal cipher.AEAD) string {
	x := shardIterator{number: it.Number, name: it.Name, shard: it.Shard, offset: it.Offset, issued: it.Issued}
	return string(x.append(nil, seal))
}

func OpenIterator(text string, seal cipher.AEAD) (Iterator, bool) {
	x, ok := readIterator(text, seal)
	return Iterator{x.number, x.name, x.shard, x.offset, x.issued}, ok
}
