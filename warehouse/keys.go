package warehouse

import (
	"context"
	"fmt"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
	"freshet/warehouse/duck"
)

// keysTable holds the keys of the posts that each shard remembers, so that after a restart
// those that are sent again still count once. number counts the keys of a shard; arrived is in
// epoch seconds; start is an offset, or 0, of which the last of each shard matters.
const keysTable = `
CREATE TABLE key_rows (shard UINTEGER NOT NULL, number UBIGINT NOT NULL, hi UBIGINT NOT NULL, lo UBIGINT NOT NULL,
	arrived UINTEGER NOT NULL, start UBIGINT NOT NULL);
`

// keysFunction returns the function that yields the keys of the generation being loaded.
func keysFunction() duck.Function {
	return duck.Function{
		Name: "frozen_keys", Rows: 100_000,
		Fields: []duck.Field{
			{Name: "shard", Type: duck.UInteger}, {Name: "number", Type: duck.UBigInt}, {Name: "hi", Type: duck.UBigInt},
			{Name: "lo", Type: duck.UBigInt}, {Name: "arrived", Type: duck.UInteger}, {Name: "start", Type: duck.UBigInt},
		},
		Open: func(ctx context.Context) (duck.Source, error) {
			r := readingOf(ctx)
			if r == nil {
				return nil, nil
			}
			frozen, ok := r.pending.(aggregate.Frozen)
			if !ok {
				return nil, nil
			}
			return newKeySource(ctx, r, frozen), nil
		},
	}
}

// A keySource writes runs of keys, none longer than a chunk.
type keySource struct {
	runs *feed[aggregate.Keys]
	now  aggregate.Keys
}

func newKeySource(ctx context.Context, r *reading, f aggregate.Frozen) *keySource {
	return &keySource{runs: produce(ctx, r, func(_ func() aggregate.Keys, send func(aggregate.Keys) error) error {
		return f.Keys(ctx, func(k *aggregate.Keys) error {
			if len(k.Key) == 0 {
				return nil
			}
			return send(*k) // what it holds never changes
		})
	})}
}

// Fill writes a chunk of keys. All columns are written: a load uses them all.
func (s *keySource) Fill(c *duck.Chunk) (int, error) {
	if len(s.now.Key) == 0 {
		run, ok := <-s.runs.full
		if !ok {
			return 0, s.runs.failed
		}
		s.now = run
	}
	k := &s.now
	n := min(c.Cap(), len(k.Key))
	fillAll(c, 0, 0, n, uint32(k.Shard))
	fillWith(c, 2, 0, k.Key[:n], func(x point.Key) uint64 { return x.Hi })
	fillWith(c, 3, 0, k.Key[:n], func(x point.Key) uint64 { return x.Lo })
	fillWith(c, 4, 0, k.Arrived[:n], func(x uint32) uint32 { return x })
	fillAll(c, 5, 0, n, uint64(k.Start))
	numbers := duck.Values[uint64](c, 1)
	for i := range n {
		numbers[i] = k.First + uint64(i)
	}
	k.First, k.Key, k.Arrived = k.First+uint64(n), k.Key[n:], k.Arrived[n:]
	return n, nil
}

// forgetKeys deletes the keys that the generation has made superfluous.
func forgetKeys(ctx context.Context, s *duck.Session, f aggregate.Frozen) error {
	oldest, expired := map[stream.ShardID]uint64{}, uint32(0)
	err := f.Keys(ctx, func(k *aggregate.Keys) error {
		if k.Oldest > 0 {
			oldest[k.Shard] = k.Oldest
		}
		expired = k.Expired
		return nil
	})
	if err != nil {
		return err
	}
	for shard, number := range oldest {
		if _, err := s.Exec(ctx, "DELETE FROM key_rows WHERE shard = ? AND number < ?", uint32(shard), number); err != nil {
			return err
		}
	}
	_, err = s.Exec(ctx, "DELETE FROM key_rows WHERE arrived < ?", expired)
	return err
}

// restoreKeys returns the keys of all shards.
func (w *Warehouse) restoreKeys(ctx context.Context) ([]aggregate.Keys, error) {
	s, err := w.db.Session(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var shards []uint32
	err = s.Read(ctx, "SELECT DISTINCT shard FROM key_rows ORDER BY shard", nil, func(c *duck.Chunk) error {
		shards = append(shards, duck.Values[uint32](c, 0)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []aggregate.Keys
	for _, shard := range shards { // one by one, since a result is in memory as a whole
		run := aggregate.Keys{Shard: stream.ShardID(shard)}
		query := "SELECT number, hi, lo, arrived, start FROM key_rows WHERE shard = ? ORDER BY number"
		err := s.Read(ctx, query, []any{uint64(shard)}, func(c *duck.Chunk) error { return appendKeys(&run, c) })
		if err != nil {
			return nil, err
		}
		out = append(out, run)
	}
	return out, nil
}

// appendKeys appends the keys of a chunk to those of their shard.
func appendKeys(run *aggregate.Keys, c *duck.Chunk) error {
	numbers, hi, lo := duck.Values[uint64](c, 0), duck.Values[uint64](c, 1), duck.Values[uint64](c, 2)
	arrived, starts := duck.Values[uint32](c, 3), duck.Values[uint64](c, 4)
	for i, n := range numbers {
		if len(run.Key) == 0 {
			run.First = n
		}
		if want := run.First + uint64(len(run.Key)); n != want {
			return fmt.Errorf("%v: key %d follows key %d", run.Shard, n, want-1)
		}
		run.Key = append(run.Key, point.Key{Hi: hi[i], Lo: lo[i]})
		run.Arrived = append(run.Arrived, arrived[i])
		run.Start = stream.Offset(starts[i])
	}
	return nil
}
