package kv

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// Mem is a Store in memory.
type Mem struct {
	mu     sync.Mutex
	last   Revision
	values map[string]Entry
}

var _ Store = (*Mem)(nil)

// NewMem returns an empty store.
func NewMem() *Mem { return &Mem{values: map[string]Entry{}} }

// Get implements Store.
func (m *Mem) Get(ctx context.Context, key string) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, context.Cause(ctx)
	}
	if err := checkKey(key); err != nil {
		return Entry{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.values[key]
	if !ok {
		return Entry{}, notFound(key)
	}
	return e.copy(), nil
}

// List implements Store.
func (m *Mem) List(ctx context.Context, prefix string) ([]Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Entry
	for key, e := range m.values {
		if strings.HasPrefix(key, prefix) {
			all = append(all, e.copy())
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return all, nil
}

// Swap implements Store.
func (m *Mem) Swap(ctx context.Context, key string, old Revision, value []byte) (Revision, error) {
	if err := ctx.Err(); err != nil {
		return 0, context.Cause(ctx)
	}
	if err := check(key, old, value); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if is := m.values[key].Revision; is != old {
		return 0, conflict(key, is, old)
	}
	m.last++
	if value == nil {
		delete(m.values, key)
	} else {
		m.values[key] = Entry{Key: key, Value: value, Revision: m.last}.copy()
	}
	return m.last, nil
}

// copy has a value of its own, which is never nil.
func (e Entry) copy() Entry {
	e.Value = append([]byte{}, e.Value...)
	return e
}
