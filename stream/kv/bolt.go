package kv

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The file is bbolt's. The bucket "freshet.kv.1" (1 is the version of this layout) holds
// the keys; its sequence, which bbolt keeps, is the last revision that was given out. A
// value is
//
//	byte  0        8
//	      revision value …
//
// with the revision in big-endian order.
const (
	bucketName   = "freshet.kv.1"
	revisionSize = 8
	lockWait     = time.Second
)

// Bolt is a Store in a file. Every change is fsynced before Swap returns; waiting for the
// disk, a call does not look at its context.
type Bolt struct {
	db *bolt.DB
	// Written by the Swap that fails, read by all.
	failed atomic.Pointer[error]
}

var _ Store = (*Bolt)(nil)

// Open opens a file, made if it does not exist. It waits up to a second for another
// process that has it open.
func Open(path string) (*Bolt, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait, FreelistType: bolt.FreelistMapType})
	if err != nil {
		if errors.Is(err, bolterrors.ErrTimeout) {
			err = errors.New("it is open already, in this process or another")
		}
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := prepare(db, filepath.Dir(path)); err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &Bolt{db: db}, nil
}

// prepare makes the bucket where there is none, and the file's name durable.
func prepare(db *bolt.DB, dir string) error {
	err := db.Update(func(tx *bolt.Tx) error {
		if tx.Bucket([]byte(bucketName)) != nil {
			return nil
		}
		if name, _ := tx.Cursor().First(); name != nil {
			return fmt.Errorf("it holds %.80q, not %q: not a store of this program, or of a newer one", name, bucketName)
		}
		_, err := tx.CreateBucket([]byte(bucketName))
		return err
	})
	if err != nil || runtime.GOOS == "windows" { // which has no sync of a folder
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Close releases the file, after the calls that are under way.
func (b *Bolt) Close() error {
	if err := b.db.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Get implements Store.
func (b *Bolt) Get(ctx context.Context, key string) (Entry, error) {
	if err := b.ready(ctx); err != nil {
		return Entry{}, err
	}
	if err := checkKey(key); err != nil {
		return Entry{}, err
	}
	var e Entry
	err := b.db.View(func(tx *bolt.Tx) error {
		cell := tx.Bucket([]byte(bucketName)).Get([]byte(key))
		if cell == nil {
			return notFound(key)
		}
		var err error
		e, err = decode(key, cell)
		return err
	})
	return e, err
}

// List implements Store.
func (b *Bolt) List(ctx context.Context, prefix string) ([]Entry, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	var all []Entry
	err := b.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket([]byte(bucketName)).Cursor()
		for key, cell := c.Seek([]byte(prefix)); key != nil && bytes.HasPrefix(key, []byte(prefix)); key, cell = c.Next() {
			e, err := decode(string(key), cell)
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		return nil
	})
	return all, err
}

// Swap implements Store.
func (b *Bolt) Swap(ctx context.Context, key string, old Revision, value []byte) (Revision, error) {
	if err := b.ready(ctx); err != nil {
		return 0, err
	}
	if err := check(key, old, value); err != nil {
		return 0, err
	}
	tx, err := b.db.Begin(true)
	if err != nil {
		return 0, fmt.Errorf("swap %.80q: %w", key, err)
	}
	defer tx.Rollback() // does nothing after a commit
	if err := b.ready(ctx); err != nil {
		return 0, err // while it waited for others
	}
	revision, err := swap(tx.Bucket([]byte(bucketName)), key, old, value)
	if err != nil {
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		err = fmt.Errorf("the store takes no more calls until it is opened again, since a write failed: %w", err)
		b.failed.CompareAndSwap(nil, &err)
		return 0, err
	}
	return revision, nil
}

func swap(values *bolt.Bucket, key string, old Revision, value []byte) (Revision, error) {
	var is Revision
	if cell := values.Get([]byte(key)); cell != nil {
		e, err := decode(key, cell)
		if err != nil {
			return 0, err
		}
		is = e.Revision
	}
	if is != old {
		return 0, conflict(key, is, old)
	}
	next, err := values.NextSequence()
	if err != nil {
		return 0, fmt.Errorf("swap %.80q: %w", key, err)
	}
	if value == nil {
		err = values.Delete([]byte(key))
	} else {
		err = values.Put([]byte(key), encode(Revision(next), value))
	}
	if err != nil {
		return 0, fmt.Errorf("swap %.80q: %w", key, err)
	}
	return Revision(next), nil
}

// ready says why a call cannot be served.
func (b *Bolt) ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func encode(r Revision, value []byte) []byte {
	cell := make([]byte, revisionSize, revisionSize+len(value))
	binary.BigEndian.PutUint64(cell, uint64(r))
	return append(cell, value...)
}

// decode copies what is in a cell, whose bytes end with the transaction.
func decode(key string, cell []byte) (Entry, error) {
	if len(cell) < revisionSize {
		return Entry{}, fmt.Errorf("key %.80q: damaged: %d bytes, fewer than the %d of a revision", key, len(cell), revisionSize)
	}
	r := Revision(binary.BigEndian.Uint64(cell))
	if r == 0 {
		return Entry{}, fmt.Errorf("key %.80q: damaged: revision 0", key)
	}
	return Entry{Key: key, Value: append([]byte{}, cell[revisionSize:]...), Revision: r}, nil
}
