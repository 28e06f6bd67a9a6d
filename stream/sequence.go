package stream

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// ShardID numbers a shard in its stream, from 0.
type ShardID uint32

// String is the id as the Kinesis API writes it.
func (id ShardID) String() string { return fmt.Sprintf("shardId-%012d", uint32(id)) }

// parseShardID reads what String writes.
func parseShardID(s string) (ShardID, bool) {
	digits, ok := strings.CutPrefix(s, "shardId-")
	n, err := strconv.ParseUint(digits, 10, 32)
	return ShardID(n), ok && err == nil && len(digits) == 12
}

// ParseShardID reads what String writes.
func ParseShardID(s string) (ShardID, error) {
	id, ok := parseShardID(s)
	if !ok {
		return 0, fmt.Errorf("shard id %.140q: not of the form shardId-000000000000", s)
	}
	return id, nil
}

// Offset is the running index of a record in its shard, from 0, one more a record.
type Offset uint64

// A SequenceNumber names a record within its stream. Those of a shard rise strictly.
type SequenceNumber struct {
	Created uint64 // when the shard was made, epoch seconds
	Shard   ShardID
	Offset  Offset // below 2^63
	Second  uint64 // when the record arrived, epoch seconds
}

const (
	// endOffset is the running index in the sequence number that ends a closed shard.
	endOffset      = Offset(1<<63 - 1)
	sequenceDigits = 56
	second36       = 1<<36 - 1
	ten19          = 10_000_000_000_000_000_000
)

// String writes the number as Kinesis does in version 2 of its layout: the 56 decimal
// digits of a number of 47 hexadecimal ones. From the highest: 2, nine of the shard's
// creation second, one of the shard's index modulo 16, sixteen of the offset (the first
// at most 7), 00, nine of the second of arrival, eight of the shard's index, 2.
func (n SequenceNumber) String() string {
	var b [sequenceDigits]byte
	return string(n.AppendTo(b[:0]))
}

// AppendTo appends what String returns.
func (n SequenceNumber) AppendTo(b []byte) []byte {
	second, created := n.Second&second36, n.Created&second36
	w0 := 2 | uint64(n.Shard)<<4 | second<<36
	w1 := second>>28 | uint64(n.Offset)<<16
	w2 := uint64(n.Offset)>>48 | uint64(n.Shard&15)<<16 | created<<20 | 2<<56
	start := len(b)
	b = append(b, make([]byte, sequenceDigits)...)
	for end := len(b); end > start; end -= 19 {
		var rest uint64
		w2, rest = w2/ten19, w2%ten19
		w1, rest = bits.Div64(rest, w1, ten19)
		w0, rest = bits.Div64(rest, w0, ten19)
		for i := end - 1; i >= max(start, end-19); i-- {
			b[i] = byte('0' + rest%10)
			rest /= 10
		}
	}
	return b
}

// ParseSequenceNumber reads what String writes. The error names the number.
func ParseSequenceNumber(s string) (SequenceNumber, error) {
	bad := func() (SequenceNumber, error) {
		return SequenceNumber{}, fmt.Errorf("sequence number %.80q: not one of this program", s)
	}
	if len(s) != sequenceDigits {
		return bad()
	}
	var w [3]uint64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return bad()
		}
		carry := uint64(s[i] - '0')
		for k := range w {
			hi, lo := bits.Mul64(w[k], 10)
			var c uint64
			w[k], c = bits.Add64(lo, carry, 0)
			carry = hi + c
		}
	}
	n := SequenceNumber{
		Created: w[2] >> 20 & second36, Shard: ShardID(w[0] >> 4),
		Offset: Offset(w[1]>>16 | w[2]<<48), Second: w[0]>>36 | w[1]&0xff<<28,
	}
	if w[2]>>56 != 2 || w[0]&15 != 2 || w[1]>>8&0xff != 0 || w[2]>>16&15 != uint64(n.Shard&15) || n.Offset >= 1<<63 {
		return bad()
	}
	return n, nil
}
