package kinesis_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// Changes of one stream at the same time are all kept.
func TestChangesAtTheSameTime(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				if status, out := r.call("AddTagsToStream", object{"StreamName": "a", "Tags": object{fmt.Sprint("k", i): ""}}); status != http.StatusOK {
					t.Errorf("got %d %v", status, out)
				}
			})
		}
		all.Wait()
		want(t, "tags", len(r.ok("ListTagsForStream", object{"StreamName": "a"})["Tags"].([]any)), 50)
	})
}

// Of those that create a stream at the same time one does.
func TestCreationsAtTheSameTime(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		var all sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for range 20 {
			all.Go(func() {
				status, out := r.call("CreateStream", object{"StreamName": "a", "ShardCount": 1})
				mu.Lock()
				defer mu.Unlock()
				if status == http.StatusOK {
					made++
				} else if out["__type"] != "ResourceInUseException" {
					t.Errorf("got %d %v", status, out)
				}
			})
		}
		all.Wait()
		want(t, "created", made, 1)
	})
}

// A revision that the service does not know is read before it is changed.
func TestAChangeByAnother(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		other, err := kinesis.New(kinesis.Options{Log: r.log, Store: r.store, AuthOff: true})
		if err != nil {
			t.Fatal(err)
		}
		second := &rig{t: t, handler: other.Handler()}
		for i := range 3 {
			r.ok("AddTagsToStream", object{"StreamName": "a", "Tags": object{fmt.Sprint("a", i): ""}})
			second.ok("AddTagsToStream", object{"StreamName": "a", "Tags": object{fmt.Sprint("b", i): ""}})
		}
		want(t, "tags", len(second.ok("ListTagsForStream", object{"StreamName": "a"})["Tags"].([]any)), 6)
	})
}

// A store that fails a write fails the request alone, and the next one sees what came of it.
func TestALostWrite(t *testing.T) {
	for _, done := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := &failingStore{Store: kv.NewMem(), done: done}
			r := newRig(t, vfs.NewMem(), store)
			r.create("a", 1)
			add := func(key string) object { return object{"StreamName": "a", "Tags": object{key: ""}} }
			store.fail(1)
			if status, out := r.call("AddTagsToStream", add("x")); status != http.StatusInternalServerError {
				t.Errorf("got %d %v, want 500", status, out)
			}
			r.ok("AddTagsToStream", add("y"))
			tags := "[map[Key:y Value:]]"
			if done {
				tags = "[map[Key:x Value:] map[Key:y Value:]]"
			}
			want(t, "tags", r.ok("ListTagsForStream", object{"StreamName": "a"})["Tags"], tags)
		})
	}
}

// A stream with as many tags and consumers as are allowed fits into a value of the store.
func TestTheMostTagsFit(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		tags := object{}
		for i := range 50 {
			tags[fmt.Sprintf("%0128d", i)] = fmt.Sprintf("%0256d", i)
		}
		r.ok("AddTagsToStream", object{"StreamName": "a", "Tags": tags})
		for i := range 20 {
			r.ok("RegisterStreamConsumer", object{"StreamARN": arnOf("a"), "ConsumerName": fmt.Sprint("c", i), "Tags": tags})
		}
	})
}

// A failingStore fails some of the next Swaps, which it may have done all the same.
type failingStore struct {
	kv.Store
	done bool

	mu   sync.Mutex
	left int
}

func (f *failingStore) fail(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = n
}

func (f *failingStore) Swap(ctx context.Context, key string, old kv.Revision, value []byte) (kv.Revision, error) {
	f.mu.Lock()
	failing := f.left > 0
	f.left--
	f.mu.Unlock()
	if !failing {
		return f.Store.Swap(ctx, key, old, value)
	}
	if f.done {
		if _, err := f.Store.Swap(ctx, key, old, value); err != nil {
			return 0, err
		}
	}
	return 0, errLost
}
