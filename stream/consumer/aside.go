package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"freshet/stream"
	"freshet/stream/kv"
)

const (
	asidePrefix     = "aside/"
	asideDataPrefix = "aside-data/"
	asideSizePrefix = "aside-size/"
	asidePart       = kv.MaxValueBytes / 2 // data of a record beyond it takes several values
	maxReason       = 4 << 10              // bytes of a reason that are kept
)

// Aside is a record that kept failing.
type Aside struct {
	Shard    stream.ShardID
	Record   Record // Data is nil in what List returns
	Reason   error
	Attempts int
}

// Asides is the store of records that were put aside by an application, which is where
// workers put them unless they are told otherwise. It holds at most MaxRecords and
// MaxBytes; beyond that Put fails with ErrAsideFull, and the shard waits: nothing is
// dropped. Its methods may be called by several goroutines and processes at once.
type Asides struct {
	MaxRecords int   // 0 means 1000
	MaxBytes   int64 // of data; 0 means 64 MiB

	store       kv.Store
	application string
}

// NewAsides returns the records put aside by an application.
func NewAsides(store kv.Store, application string) *Asides {
	return &Asides{store: store, application: application}
}

// storedAside is the value of aside/<application>/<shardId>/<sequence number>.<sub>. The
// data is in aside-data/…, with the part's number behind the same name.
type storedAside struct {
	V            int    `json:"v"`
	Sequence     string `json:"sequence"`
	Sub          uint32 `json:"sub,omitempty"`
	Aggregated   bool   `json:"aggregated,omitempty"`
	PartitionKey []byte `json:"partitionKey"`
	HashKey      string `json:"hashKey,omitempty"`
	Arrived      int64  `json:"arrived"`
	Bytes        int    `json:"bytes"`
	Reason       string `json:"reason"`
	Attempts     int    `json:"attempts"`
}

// asideSize is the value of aside-size/<application>: what there is, or was about to be
// when a worker was killed, in which case it is too much until it is counted again.
type asideSize struct {
	Records int   `json:"records"`
	Bytes   int64 `json:"bytes"`
}

func (s *Asides) name(id stream.ShardID, n stream.SequenceNumber, sub uint32) string {
	return fmt.Sprintf("%s/%s/%s.%d", s.application, id, n, sub)
}

// Put keeps a record. One that is there already, from before a crash, stays as it is.
func (s *Asides) Put(ctx context.Context, a Aside) error {
	r := &a.Record
	name := s.name(a.Shard, r.Sequence, r.Sub)
	if _, err := s.store.Get(ctx, asidePrefix+name); err == nil {
		return nil
	} else if !errors.Is(err, kv.ErrNotFound) {
		return fmt.Errorf("put aside: %w", err)
	}
	if err := s.resize(ctx, 1, int64(len(r.Data))); err != nil {
		return fmt.Errorf("put aside: %w", err)
	}
	for part := 0; part*asidePart < len(r.Data); part++ {
		data := r.Data[part*asidePart : min(len(r.Data), (part+1)*asidePart)]
		if err := s.write(ctx, fmt.Sprintf("%s%s/%04d", asideDataPrefix, name, part), data); err != nil {
			return fmt.Errorf("put aside: %w", err)
		}
	}
	kept := storedAside{
		V: version, Sequence: r.Sequence.String(), Sub: r.Sub, Aggregated: r.Aggregated, PartitionKey: r.PartitionKey,
		Arrived: r.Arrived, Bytes: len(r.Data), Reason: fmt.Sprint(a.Reason), Attempts: a.Attempts,
	}
	if len(kept.Reason) > maxReason {
		kept.Reason = kept.Reason[:maxReason] + "…"
	}
	if r.Explicit {
		kept.HashKey = r.HashKey.String()
	}
	text, err := json.Marshal(kept)
	if err == nil {
		err = s.write(ctx, asidePrefix+name, text)
	}
	if err != nil {
		return fmt.Errorf("put aside: %w", err)
	}
	return nil
}

// write puts a value under a key, whatever is there.
func (s *Asides) write(ctx context.Context, key string, value []byte) error {
	for {
		e, err := s.store.Get(ctx, key)
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return err
		}
		if _, err = s.store.Swap(ctx, key, e.Revision, value); !errors.Is(err, kv.ErrConflict) {
			return err
		}
	}
}

// resize makes room, or fails with ErrAsideFull. Records that are put at the same time
// may pass the bounds.
func (s *Asides) resize(ctx context.Context, records int, bytes int64) error {
	key := asideSizePrefix + s.application
	for counted := false; ; {
		var size asideSize
		e, err := s.store.Get(ctx, key)
		if err == nil {
			err = json.Unmarshal(e.Value, &size)
		}
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return err
		}
		if counted {
			if size, err = s.count(ctx); err != nil {
				return err
			}
		}
		size.Records, size.Bytes = max(0, size.Records+records), max(0, size.Bytes+bytes)
		if err := s.full(size); err != nil && records > 0 {
			if counted {
				return err
			}
			counted = true // the size may be too great, after a crash
			continue
		}
		text, err := json.Marshal(size)
		if err != nil {
			return err
		}
		if _, err = s.store.Swap(ctx, key, e.Revision, text); !errors.Is(err, kv.ErrConflict) {
			return err
		}
	}
}

func (s *Asides) full(size asideSize) error {
	maxRecords, maxBytes := s.MaxRecords, s.MaxBytes
	if maxRecords <= 0 {
		maxRecords = 1000
	}
	if maxBytes <= 0 {
		maxBytes = 64 << 20
	}
	if size.Records > maxRecords || size.Bytes > maxBytes {
		return fmt.Errorf("%d records of %d bytes, of at most %d and %d: %w", size.Records, size.Bytes, maxRecords, maxBytes, ErrAsideFull)
	}
	return nil
}

// count is the size of what is there.
func (s *Asides) count(ctx context.Context) (asideSize, error) {
	entries, err := s.store.List(ctx, asidePrefix+s.application+"/")
	if err != nil {
		return asideSize{}, err
	}
	size := asideSize{Records: len(entries)}
	for _, e := range entries {
		_, bytes, err := decodeAside(e)
		if err != nil {
			return asideSize{}, err
		}
		size.Bytes += int64(bytes)
	}
	return size, nil
}

// List returns what is kept, without the data, by shard and sequence number.
func (s *Asides) List(ctx context.Context) ([]Aside, error) {
	entries, err := s.store.List(ctx, asidePrefix+s.application+"/")
	if err != nil {
		return nil, fmt.Errorf("list what is put aside: %w", err)
	}
	var all []Aside
	for _, e := range entries {
		a, _, err := decodeAside(e)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func decodeAside(e kv.Entry) (Aside, int, error) {
	var kept storedAside
	if err := json.Unmarshal(e.Value, &kept); err != nil {
		return Aside{}, 0, fmt.Errorf("%.200q: %w", e.Key, err)
	}
	if kept.V != version {
		return Aside{}, 0, fmt.Errorf("%.200q: version %d, this program knows %d", e.Key, kept.V, version)
	}
	n, err := stream.ParseSequenceNumber(kept.Sequence)
	if err != nil {
		return Aside{}, 0, fmt.Errorf("%.200q: %w", e.Key, err)
	}
	a := Aside{Shard: n.Shard, Reason: errors.New(kept.Reason), Attempts: kept.Attempts, Record: Record{
		Sequence: n, Sub: kept.Sub, Aggregated: kept.Aggregated, PartitionKey: kept.PartitionKey, Arrived: kept.Arrived,
	}}
	if kept.HashKey != "" {
		if a.Record.HashKey, err = stream.ParseHashKey(kept.HashKey); err != nil {
			return Aside{}, 0, fmt.Errorf("%.200q: %w", e.Key, err)
		}
		a.Record.Explicit = true
	}
	return a, kept.Bytes, nil
}

// Read returns a record that List has returned, with its data.
func (s *Asides) Read(ctx context.Context, a Aside) (Aside, error) {
	name := s.name(a.Shard, a.Record.Sequence, a.Record.Sub)
	e, err := s.store.Get(ctx, asidePrefix+name)
	if err != nil {
		return Aside{}, fmt.Errorf("read what is put aside: %w", err)
	}
	a, bytes, err := decodeAside(e)
	if err != nil {
		return Aside{}, err
	}
	parts, err := s.store.List(ctx, asideDataPrefix+name+"/")
	if err != nil {
		return Aside{}, fmt.Errorf("read what is put aside: %w", err)
	}
	a.Record.Data = []byte{}
	for _, p := range parts {
		a.Record.Data = append(a.Record.Data, p.Value...)
	}
	if len(a.Record.Data) != bytes {
		return Aside{}, fmt.Errorf("%.200q: %d bytes of data, not %d", e.Key, len(a.Record.Data), bytes)
	}
	return a, nil
}

// Delete drops a record that List has returned, once somebody has dealt with it.
func (s *Asides) Delete(ctx context.Context, a Aside) error {
	name := s.name(a.Shard, a.Record.Sequence, a.Record.Sub)
	entries, err := s.store.List(ctx, asideDataPrefix+name+"/")
	if err != nil {
		return fmt.Errorf("delete what is put aside: %w", err)
	}
	e, err := s.store.Get(ctx, asidePrefix+name)
	if err != nil {
		return fmt.Errorf("delete what is put aside: %w", err)
	}
	_, bytes, err := decodeAside(e)
	if err != nil {
		return err
	}
	// Named until its data is gone, so that a Delete that is cut short can be done again.
	for _, e := range append(entries, e) {
		if _, err := s.store.Swap(ctx, e.Key, e.Revision, nil); err != nil {
			return fmt.Errorf("delete %.200q: %w", e.Key, err)
		}
	}
	return s.resize(ctx, -1, -int64(bytes))
}
