package point

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// HashOf returns the 64-bit hash of a series: it places the series on a shard, and is
// the key under which the fold looks it up. It is the same on every machine and in every
// version. s.Labels must be in order of name.
//
// It is a mix of the XXH64 of each string rather than of the strings themselves, so that
// a batch, which holds each string once, hashes each of them once.
func HashOf(s Series) uint64 {
	h := hashHead(xxhash.Sum64String(s.Metric), s.Type)
	for i := range s.Labels {
		h = mix(h, xxhash.Sum64String(s.Labels[i].Name))
		h = mix(h, xxhash.Sum64String(s.Labels[i].Value))
	}
	return finish(h)
}

// hashHead begins the hash of a series with its metric's hash and its type.
func hashHead(metric uint64, t Type) uint64 { return mix(metric, uint64(t)) }

// mix folds x into h. For a given x it is a bijection of h, and for a given h one of x,
// so that no single string that differs is ever lost.
func mix(h, x uint64) uint64 {
	return (bits.RotateLeft64(h, 27) ^ x) * 0x9e3779b97f4a7c15
}

// finish spreads h over all 64 bits, the highest of which choose the shard. It is the
// finalizer of MurmurHash3.
func finish(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
