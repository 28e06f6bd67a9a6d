package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"freshet/stream"
	"freshet/stream/kv"
)

// Keys in the store, of an application:
//
//	start/<application>            Start: where it began
//	lease/<application>/<shardId>  Lease: who reads a shard, and how far
//	aside/…, aside-data/…, aside-size/…  see Asides
//
// The values are JSON; "v" is the version of the layout.
const (
	startPrefix = "start/"
	leasePrefix = "lease/"
	version     = 1
)

func leaseKey(application string, id stream.ShardID) string {
	return leasePrefix + application + "/" + id.String()
}

// Lease says who reads a shard for an application, and how far it has come.
type Lease struct {
	Shard stream.ShardID `json:"-"`
	// Owner is the worker that has it, "" when none has.
	Owner string `json:"owner,omitempty"`
	// Wanted is the worker that asked the owner for it, and takes it next.
	Wanted string `json:"wanted,omitempty"`
	// Counter rises at every write by an owner.
	Counter    uint64   `json:"counter"`
	Checkpoint Position `json:"checkpoint"`

	revision kv.Revision
}

type storedLease struct {
	V int `json:"v"`
	*Lease
}

func (l Lease) encode() []byte {
	text, err := json.Marshal(storedLease{version, &l})
	if err != nil {
		panic(err) // it holds nothing that JSON does not
	}
	return text
}

// decodeLease reads a lease of an application.
func decodeLease(application string, e kv.Entry) (Lease, error) {
	id, err := stream.ParseShardID(strings.TrimPrefix(e.Key, leasePrefix+application+"/"))
	if err != nil {
		return Lease{}, fmt.Errorf("lease %.200q: %w", e.Key, err)
	}
	l := Lease{}
	s := storedLease{Lease: &l}
	if err := json.Unmarshal(e.Value, &s); err != nil {
		return Lease{}, fmt.Errorf("lease %.200q: %w", e.Key, err)
	}
	if s.V != version {
		return Lease{}, fmt.Errorf("lease %.200q: version %d, this program knows %d", e.Key, s.V, version)
	}
	l.Shard, l.revision = id, e.Revision
	return l, nil
}

// start is where an application began. The first worker writes it, all later ones heed it.
type start struct {
	V      int      `json:"v"`
	Stream string   `json:"stream"`
	At     Position `json:"at"`
	// Below is above the ids of all shards that there were.
	Below stream.ShardID `json:"below"`
}

// begin reads where the application began, or has it begin now.
func begin(ctx context.Context, store kv.Store, application string, at Position, listing Listing) (start, error) {
	key := startPrefix + application
	for {
		e, err := store.Get(ctx, key)
		if errors.Is(err, kv.ErrNotFound) {
			s := start{V: version, Stream: listing.Stream, At: at}
			for _, shard := range listing.Shards {
				s.Below = max(s.Below, shard.ID+1)
			}
			text, err := json.Marshal(s)
			if err != nil {
				return start{}, err
			}
			if _, err = store.Swap(ctx, key, 0, text); errors.Is(err, kv.ErrConflict) {
				continue // another worker was first
			}
			return s, err
		}
		if err != nil {
			return start{}, err
		}
		var s start
		if err := json.Unmarshal(e.Value, &s); err != nil {
			return start{}, fmt.Errorf("%.200q: %w", key, err)
		}
		if s.V != version {
			return start{}, fmt.Errorf("%.200q: version %d, this program knows %d", key, s.V, version)
		}
		if s.Stream != listing.Stream {
			return start{}, fmt.Errorf("application %s has leases of stream %s, this is %s: %w", application, s.Stream, listing.Stream, ErrOtherStream)
		}
		return s, nil
	}
}

// Leases lists the leases of an application by rising shard.
func Leases(ctx context.Context, store kv.Store, application string) ([]Lease, error) {
	if err := checkApplication(application); err != nil {
		return nil, err
	}
	entries, err := store.List(ctx, leasePrefix+application+"/")
	if err != nil {
		return nil, err
	}
	all := make([]Lease, 0, len(entries))
	for _, e := range entries {
		l, err := decodeLease(application, e)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// Forget deletes the leases of an application, which then begins anew. No worker of it
// may run. Records that were put aside stay.
func Forget(ctx context.Context, store kv.Store, application string) error {
	if err := checkApplication(application); err != nil {
		return err
	}
	entries, err := store.List(ctx, leasePrefix+application+"/")
	if err != nil {
		return fmt.Errorf("forget %s: %w", application, err)
	}
	// Where it began goes last: without it the leases that a crash leaves would be
	// taken for those of another beginning.
	switch e, err := store.Get(ctx, startPrefix+application); {
	case err == nil:
		entries = append(entries, e)
	case !errors.Is(err, kv.ErrNotFound):
		return fmt.Errorf("forget %s: %w", application, err)
	}
	for _, e := range entries {
		if _, err := store.Swap(ctx, e.Key, e.Revision, nil); err != nil {
			return fmt.Errorf("forget %s: %w", application, err)
		}
	}
	return nil
}

// Release frees the leases of an application, which otherwise are free only when they run
// out. No worker of it may run: it is for a program that knows to be the only one.
func Release(ctx context.Context, store kv.Store, application string) error {
	all, err := Leases(ctx, store, application)
	if err != nil {
		return fmt.Errorf("release %s: %w", application, err)
	}
	for _, l := range all {
		if l.Owner == "" {
			continue
		}
		l.Owner, l.Wanted = "", ""
		l.Counter++
		if _, err := store.Swap(ctx, leaseKey(application, l.Shard), l.revision, l.encode()); err != nil {
			return fmt.Errorf("release %s: %w", application, err)
		}
	}
	return nil
}

// Applications lists those that have begun and whose names begin with a prefix.
func Applications(ctx context.Context, store kv.Store, prefix string) ([]string, error) {
	entries, err := store.List(ctx, startPrefix+prefix)
	if err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, strings.TrimPrefix(e.Key, startPrefix))
	}
	return all, nil
}

// checkApplication keeps the names in keys apart.
func checkApplication(name string) error {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.') {
			return fmt.Errorf("application %.140q holds %q; letters, digits and _ . - are allowed", name, c)
		}
	}
	if len(name) == 0 || len(name) > 128 {
		return fmt.Errorf("application %.140q has %d characters; 1 to 128 are allowed", name, len(name))
	}
	return nil
}
