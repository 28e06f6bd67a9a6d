package kv_test

import (
	"context"
	"errors"
	"fmt"

	"freshet/stream/kv"
)

func ExampleStore() {
	ctx := context.Background()
	var store kv.Store = kv.NewMem() // or kv.Open(path)

	first, _ := store.Swap(ctx, "lease/shop/shardId-000000000000", 0, []byte("worker-a"))
	e, _ := store.Get(ctx, "lease/shop/shardId-000000000000")
	fmt.Printf("%s\n", e.Value)

	// Two writers saw the same revision; the second one loses.
	_, err := store.Swap(ctx, e.Key, e.Revision, []byte("worker-b"))
	fmt.Println(err)
	_, err = store.Swap(ctx, e.Key, first, []byte("worker-c"))
	fmt.Println(errors.Is(err, kv.ErrConflict))
	// Output:
	// worker-a
	// <nil>
	// true
}
