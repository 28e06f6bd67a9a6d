package stream

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
)

// HashKey is a number of 128 bits, by which a record finds its shard.
type HashKey struct{ Hi, Lo uint64 }

// maxHashKey is the greatest hash key.
var maxHashKey = HashKey{^uint64(0), ^uint64(0)}

// HashPartitionKey is the MD5 of a partition key, as Kinesis defines it.
func HashPartitionKey(key string) HashKey {
	var room [256]byte // keeps usual keys off the heap
	sum := md5.Sum(append(room[:0], key...))
	return HashKey{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

// RecordHash is the hash key of a record: the explicit one, in decimal, if it has one, else
// that of its partition key.
func RecordHash(partitionKey, explicit string) (HashKey, error) {
	if explicit != "" {
		return ParseHashKey(explicit)
	}
	return HashPartitionKey(partitionKey), nil
}

// Compare is negative, zero or positive as h is below, equal to or above o.
func (h HashKey) Compare(o HashKey) int {
	switch {
	case h == o:
		return 0
	case h.Hi < o.Hi || h.Hi == o.Hi && h.Lo < o.Lo:
		return -1
	}
	return 1
}

// previous is the key below h, which is not 0.
func (h HashKey) previous() HashKey {
	lo, borrow := bits.Sub64(h.Lo, 1, 0)
	return HashKey{h.Hi - borrow, lo}
}

// Next is the key above h, and 0 for the greatest.
func (h HashKey) Next() HashKey {
	lo, carry := bits.Add64(h.Lo, 1, 0)
	return HashKey{h.Hi + carry, lo}
}

// String is the key in decimal.
func (h HashKey) String() string {
	hi, high := bits.Div64(0, h.Hi, 1e19)
	mid, low := bits.Div64(high, h.Lo, 1e19)
	// h = hi × 1e19 × 2^64 + …: hi is 0 or 1, since 2^64 < 2 × 1e19.
	if hi == 0 && mid == 0 {
		return fmt.Sprint(low)
	}
	top, mid := bits.Div64(hi, mid, 1e19)
	if top == 0 {
		return fmt.Sprintf("%d%019d", mid, low)
	}
	return fmt.Sprintf("%d%019d%019d", top, mid, low)
}

// ParseHashKey reads what String writes: a decimal number below 2^128.
func ParseHashKey(s string) (HashKey, error) {
	var h HashKey
	if s == "" || len(s) > 39 || strings.Trim(s, "0123456789") != "" || len(s) > 1 && s[0] == '0' {
		return h, fmt.Errorf("hash key %q: not a decimal number below 2^128", s)
	}
	for i := range len(s) {
		c1, lo := bits.Mul64(h.Lo, 10)
		over, hi := bits.Mul64(h.Hi, 10)
		lo, carry := bits.Add64(lo, uint64(s[i]-'0'), 0)
		hi, over2 := bits.Add64(hi, c1, carry)
		if over != 0 || over2 != 0 {
			return HashKey{}, fmt.Errorf("hash key %q: not below 2^128", s)
		}
		h = HashKey{hi, lo}
	}
	return h, nil
}

// hashRange is the i-th of n equal parts of all hash keys; the last takes what is over.
func hashRange(i, n int) (first, last HashKey) {
	if n == 1 {
		return HashKey{}, maxHashKey
	}
	width := HashKey{}
	var rest uint64
	width.Hi, rest = bits.Div64(1, 0, uint64(n))
	width.Lo, _ = bits.Div64(rest, 0, uint64(n))
	times := func(k uint64) HashKey {
		carry, lo := bits.Mul64(width.Lo, k)
		return HashKey{width.Hi*k + carry, lo}
	}
	first, last = times(uint64(i)), maxHashKey
	if i < n-1 {
		last = times(uint64(i + 1)).previous()
	}
	return first, last
}
