package kv

import (
	"context"
	"errors"
	"fmt"
)

const (
	// MaxKeyBytes bounds a key, in bytes. The least is one.
	MaxKeyBytes = 1024
	// MaxValueBytes bounds a value, in bytes. An empty value is a value.
	MaxValueBytes = 1 << 20
)

var (
	// ErrNotFound says that there is no value under the key.
	ErrNotFound = errors.New("there is no such key")
	// ErrConflict says that the key has another revision than the one that was to be
	// replaced, or that it is there or gone when the opposite was expected. Nothing was changed.
	ErrConflict = errors.New("the key has another revision")
	// ErrTooLarge refuses a key or a value that would never be accepted.
	ErrTooLarge = errors.New("too large")
)

// Revision numbers a change of a store, from 1. 0 is none.
type Revision uint64

// Entry is a value with its key, and the revision that the change which wrote it got.
type Entry struct {
	Key      string
	Value    []byte // the caller's own
	Revision Revision
}

// A Store keeps small values under keys, each with a revision that rises at every change.
// Three methods, so that another store (etcd, DynamoDB, JetStream) can take its place.
//
// Every call takes effect at one moment between its beginning and its end. An error that
// is none of this package's leaves the outcome of a Swap unknown: it may still have been
// done, or be done later.
type Store interface {
	// Get returns what is under a key, or ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)
	// List returns what is under the keys that begin with a prefix, by rising key. It
	// holds all of it in memory: the caller chooses prefixes with few keys under them.
	List(ctx context.Context, prefix string) ([]Entry, error)
	// Swap puts a value under a key that has revision old, 0 meaning that the key must
	// not exist, and returns the new revision, which is higher than all that the key ever
	// had. A nil value deletes the key and returns the revision of the deletion. The error
	// is ErrConflict when the key has another revision.
	Swap(ctx context.Context, key string, old Revision, value []byte) (Revision, error)
}

// check refuses what no store of this package takes.
func check(key string, old Revision, value []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(value) > MaxValueBytes {
		return fmt.Errorf("value of %.80q has %d bytes, more than %d: %w", key, len(value), MaxValueBytes, ErrTooLarge)
	}
	if value == nil && old == 0 {
		return fmt.Errorf("key %.80q: old revision 0 and no value: a deletion names the revision that it deletes", key)
	}
	return nil
}

func checkKey(key string) error {
	if key == "" {
		return errors.New("key is empty")
	}
	if len(key) > MaxKeyBytes {
		return fmt.Errorf("key %.80q… has %d bytes, more than %d: %w", key, len(key), MaxKeyBytes, ErrTooLarge)
	}
	return nil
}

func notFound(key string) error { return fmt.Errorf("key %.80q: %w", key, ErrNotFound) }

func conflict(key string, is, old Revision) error {
	return fmt.Errorf("key %.80q has revision %d, not %d: %w", key, is, old, ErrConflict)
}
