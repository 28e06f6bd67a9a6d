package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"freshet/stream/consumer"
	"freshet/stream/kv"
)

// Keys in the store, beside those of the consumers:
//
//	pipeline/<name>    stored: a pipeline
//	pipeline-gone/<id> the name of one that was deleted, until all of it is
//
// The values of the first are JSON; "v" is the version of the layout.
const (
	storedPrefix  = "pipeline/"
	gonePrefix    = "pipeline-gone/"
	storedVersion = 1
)

// stored is a pipeline in the store.
type stored struct {
	V  int    `json:"v"`
	ID string `json:"id"` // 32 hexadecimal digits; never those of another
	// Definition is that of the API, nil when there is only one in a file.
	Definition json.RawMessage `json:"definition,omitempty"`

	revision kv.Revision
}

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// load reads the pipelines of the store, by name.
func (s *Pipelines) load(ctx context.Context) (map[string]stored, error) {
	entries, err := s.o.Store.List(ctx, storedPrefix)
	if err != nil {
		return nil, fmt.Errorf("read the pipelines: %w", err)
	}
	all := map[string]stored{}
	for _, e := range entries {
		var p stored
		if err := json.Unmarshal(e.Value, &p); err != nil {
			return nil, fmt.Errorf("%.200q: %w", e.Key, err)
		}
		if p.V != storedVersion || len(p.ID) != 32 {
			return nil, fmt.Errorf("%.200q: version %d, id %.40q; this program knows version %d", e.Key, p.V, p.ID, storedVersion)
		}
		p.revision = e.Revision
		all[strings.TrimPrefix(e.Key, storedPrefix)] = p
	}
	return all, nil
}

// keep writes a pipeline.
func (s *Pipelines) keep(ctx context.Context, name string, p *stored) error {
	p.V = storedVersion
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if p.revision, err = s.o.Store.Swap(ctx, storedPrefix+name, p.revision, text); err != nil {
		return fmt.Errorf("keep pipeline %s: %w", name, err)
	}
	return nil
}

// drop deletes a pipeline. What its consumers have left is named until it is deleted too.
func (s *Pipelines) drop(ctx context.Context, name string, p stored) error {
	if _, err := s.o.Store.Swap(ctx, gonePrefix+p.ID, 0, []byte(name)); err != nil && !errors.Is(err, kv.ErrConflict) {
		return fmt.Errorf("delete pipeline %s: %w", name, err)
	}
	if _, err := s.o.Store.Swap(ctx, storedPrefix+name, p.revision, nil); err != nil {
		return fmt.Errorf("delete pipeline %s: %w", name, err)
	}
	return nil
}

// clear deletes what pipelines that are gone have left, but for those that still run.
func (s *Pipelines) clear(ctx context.Context, runs func(id string) bool) error {
	gone, err := s.o.Store.List(ctx, gonePrefix)
	if err != nil {
		return err
	}
	for _, e := range gone {
		id := strings.TrimPrefix(e.Key, gonePrefix)
		if runs(id) {
			continue
		}
		if err := s.forgetOthers(ctx, string(e.Value), id, ""); err != nil {
			return err
		}
		if _, err := s.o.Store.Swap(ctx, e.Key, e.Revision, nil); err != nil {
			return err
		}
	}
	return nil
}

// forgetOthers deletes the checkpoints of a pipeline on streams that it reads no longer.
func (s *Pipelines) forgetOthers(ctx context.Context, name, id, but string) error {
	found, err := consumer.Applications(ctx, s.o.Store, applications(name, id))
	if err != nil {
		return err
	}
	for _, application := range found {
		if application == but {
			continue
		}
		if err := consumer.Forget(ctx, s.o.Store, application); err != nil {
			return err
		}
	}
	return nil
}
