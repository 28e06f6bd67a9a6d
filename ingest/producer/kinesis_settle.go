package producer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"freshet/stream/kpl"
)

// A verdict is what became of user records of an entry.
type verdict struct {
	entry           *entry
	users           []user
	shard, sequence string
	err             error
}

// send sends a request once and settles what became of its entries.
func (k *Kinesis) send(ctx context.Context, entries []*entry) {
	answers, err := k.api.putRecords(ctx, entries)
	var out []verdict
	k.mu.Lock()
	now := time.Now()
	k.running--
	if err != nil {
		out = k.failedLocked(ctx, entries, err, now)
	} else {
		k.failures = 0
		for i, e := range entries {
			out = k.answeredLocked(out, e, answers[i], now)
		}
	}
	k.applyLocked()
	k.mu.Unlock()
	k.complete(out)
	k.signal()
}

// failedLocked settles a request that failed as a whole.
func (k *Kinesis) failedLocked(ctx context.Context, entries []*entry, err error, now time.Time) (out []verdict) {
	code, message := codeOf(err)
	stopped := ctx.Err() != nil
	if !stopped {
		k.failures++
		k.pause = now.Add(backoff(k.failures))
	}
	for _, e := range entries {
		e.lane.sent--
		e.tried(now, code, message)
		switch {
		case final(err):
			out = append(out, verdict{entry: e, users: e.users, err: err})
		case stopped && !k.gone:
			e.after = now
			e.lane.again = append(e.lane.again, e)
		default:
			out = k.againLocked(out, e, err, now)
		}
	}
	return out
}

// answeredLocked settles one entry of a request that was answered.
func (k *Kinesis) answeredLocked(out []verdict, e *entry, a answer, now time.Time) []verdict {
	if a.ErrorCode != "" {
		e.lane.sent--
		e.tried(now, a.ErrorCode, a.ErrorMessage)
		return k.againLocked(out, e, &APIError{Code: a.ErrorCode, Message: a.ErrorMessage}, now)
	}
	e.tried(now, "", "")
	v := verdict{entry: e, users: e.users, shard: a.ShardID, sequence: a.SequenceNumber}
	k.stats.Records++
	if a.ShardID != e.lane.id && !k.shards.unknown {
		k.shards.stale = true
		if e.packed {
			// Consumers skip user records in a shard that is not theirs. The list of
			// shards will tell which those are.
			k.doubtful = append(k.doubtful, v)
			return out
		}
	}
	e.lane.sent--
	return append(out, v)
}

// tried notes an attempt.
func (e *entry) tried(now time.Time, code, message string) {
	e.attempts = append(e.attempts, Attempt{
		Delay: e.began.Sub(e.last), Duration: now.Sub(e.began), ErrorCode: code, ErrorMessage: message,
	})
	e.last = now
}

// againLocked lets an entry be sent again after a pause, or gives it up.
func (k *Kinesis) againLocked(out []verdict, e *entry, err error, now time.Time) []verdict {
	e.after = now.Add(backoff(len(e.attempts)))
	switch {
	case k.gone:
		return append(out, verdict{entry: e, users: e.users, err: ErrClosed})
	case !e.after.Before(e.born.Add(k.o.TTL)):
		return append(out, k.expire(e, now))
	}
	e.lane.again = append(e.lane.again, e)
	return out
}

// The error codes of attempts that are this package's own. They are those of the KPL.
const (
	codeExpired    = "Expired"
	codeWrongShard = "Wrong Shard"
)

// expire gives up an entry for its age.
func (k *Kinesis) expire(e *entry, now time.Time) verdict {
	tries, last := len(e.attempts), ""
	if tries > 0 {
		a := e.attempts[tries-1]
		last = fmt.Sprintf(", the last: %s: %s", a.ErrorCode, a.ErrorMessage)
	} else if err := k.shards.err; err != nil {
		last = fmt.Sprintf(", the shards are not known: %v", err)
	}
	e.began = now
	e.tried(now, codeExpired, "the record has reached its time to live")
	err := fmt.Errorf("producer: given up after %v and %d tries%s", k.o.TTL, tries, last)
	return verdict{entry: e, users: e.users, err: err}
}

// resolveLocked settles records that arrived in a shard that was not foreseen: those of
// its hash range are where they belong, the others are put again.
func (k *Kinesis) resolveLocked(now time.Time) (out []verdict) {
	doubtful := k.doubtful
	k.doubtful = nil
	for _, v := range doubtful {
		e := v.entry
		e.lane.sent--
		in, known := k.shards.all[v.shard]
		right := v
		right.users = nil
		var wrong []user
		pack := kpl.Aggregator{MaxBytes: kpl.MaxBytes}
		data := e.data()
		for i, u := range e.users {
			if known && in.holds(u.hash) {
				right.users = append(right.users, u)
				continue
			}
			pack.Add(kpl.Record{PartitionKey: u.key, ExplicitHashKey: u.explicit, Data: data[i]})
			wrong = append(wrong, u.tried(e))
		}
		if len(right.users) > 0 {
			out = append(out, right)
		}
		if len(wrong) == 0 {
			continue
		}
		k.stats.WrongShard += uint64(len(wrong))
		repacked := newEntry(e.lane, wrong, &pack)
		repacked.begin(k.o.MaxAge)
		repacked.last = e.last
		repacked.attempts = []Attempt{{ErrorCode: codeWrongShard, ErrorMessage: "arrived in " + v.shard + ", which is not the shard of its hash key"}}
		// The attempt before this note was without fault, and the note is about it.
		for i := range repacked.users {
			u := &repacked.users[i]
			a := u.attempts[len(u.attempts)-1]
			repacked.attempts[0].Delay, repacked.attempts[0].Duration = a.Delay, a.Duration
			u.attempts = u.attempts[:len(u.attempts)-1]
		}
		out = k.againLocked(out, repacked, nil, now)
	}
	return out
}

func (s *shard) holds(h hash) bool {
	return bytes.Compare(s.first[:], h[:]) <= 0 && bytes.Compare(h[:], s.last[:]) <= 0
}

// complete tells the results, and then counts them and gives their memory back.
func (k *Kinesis) complete(out []verdict) {
	if len(out) == 0 {
		return
	}
	lost := 0
	for _, v := range out {
		if v.err != nil {
			lost += len(v.users)
		}
		for _, u := range v.users {
			if u.done == nil {
				continue
			}
			r := Result{Err: v.err, Shard: v.shard, SequenceNumber: v.sequence, Attempts: u.tried(v.entry).attempts}
			if v.err == nil {
				r.SubSequence = u.sub
			} else {
				r.Shard, r.SequenceNumber = "", ""
			}
			u.done(r)
		}
	}
	if lost > 0 {
		k.o.Logger.Error("records dropped", "records", lost, "error", lastError(out))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range out {
		for i := range v.users {
			u := &v.users[i]
			k.used -= u.bytes()
			if k.waiting[u.round]--; k.waiting[u.round] == 0 {
				delete(k.waiting, u.round)
			}
		}
		k.stats.Pending -= len(v.users)
		if v.err != nil {
			k.stats.Dropped += uint64(len(v.users))
			k.lost = v.err
		} else {
			k.stats.Sent += uint64(len(v.users))
		}
	}
	close(k.changed)
	k.changed = make(chan struct{})
	k.room.Broadcast()
}

func lastError(out []verdict) error {
	var last error
	for _, v := range out {
		if v.err != nil {
			last = v.err
		}
	}
	return last
}

// codeOf returns how an attempt names the error of a request.
func codeOf(err error) (code, message string) {
	var api *APIError
	if errors.As(err, &api) {
		return api.Code, api.Message
	}
	return "Exception", err.Error()
}
