package kinesis

import (
	"math/bits"

	"freshet/stream"
)

// A hashRange is the hash keys of a shard, both ends included.
type hashRange struct{ first, last stream.HashKey }

// A reshardStep is one split or one merge of a plan. The zero step is the end of it.
type reshardStep struct {
	kind  stepKind
	shard int            // index among the open shards by rising hash keys
	at    stream.HashKey // of a split: the first hash key of the second child
}

type stepKind int

const (
	stepNone  stepKind = iota
	stepSplit          // shard at a hash key
	stepMerge          // shard with the one that follows it
)

// nextStep is the next step from some open shards, by rising hash keys, to target shards
// of equal size. Since it looks at nothing else, a plan that was cut short goes on with
// the next call.
//
// The parts are made from the lowest hash keys on. Before a part is reached by merging it
// is cut off at its end, so that at no time there are more than two shards beyond the
// larger of the two numbers.
func nextStep(open []hashRange, target int) reshardStep {
	at := 0
	for part := range target {
		_, last := equalPart(part, target)
		sh := open[at]
		switch c := sh.last.Compare(last); {
		case c == 0:
			at++
		case c > 0:
			return reshardStep{kind: stepSplit, shard: at, at: last.Next()}
		case open[at+1].last.Compare(last) > 0:
			return reshardStep{kind: stepSplit, shard: at + 1, at: last.Next()}
		default:
			return reshardStep{kind: stepMerge, shard: at}
		}
	}
	return reshardStep{}
}

// equalPart is the i-th of n parts of all hash keys, as a stream of n shards has them: of
// floor(2^128/n) keys each, and the last takes what is over.
func equalPart(i, n int) (first, last stream.HashKey) {
	greatest := stream.HashKey{Hi: ^uint64(0), Lo: ^uint64(0)}
	if n == 1 {
		return stream.HashKey{}, greatest
	}
	hi, rest := bits.Div64(1, 0, uint64(n))
	lo, _ := bits.Div64(rest, 0, uint64(n))
	times := func(k uint64) stream.HashKey {
		carry, low := bits.Mul64(lo, k)
		return stream.HashKey{Hi: hi*k + carry, Lo: low}
	}
	first, last = times(uint64(i)), greatest
	if i < n-1 {
		next := times(uint64(i + 1))
		low, borrow := bits.Sub64(next.Lo, 1, 0)
		last = stream.HashKey{Hi: next.Hi - borrow, Lo: low}
	}
	return first, last
}
