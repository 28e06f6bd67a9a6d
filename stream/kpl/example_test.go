package kpl_test

import (
	"errors"
	"fmt"

	"freshet/stream/kpl"
)

// A producer packs records until one has no room, and a consumer unpacks them.
func Example() {
	var a kpl.Aggregator
	a.Add(kpl.Record{PartitionKey: "user-1", Data: []byte("clicked")})
	a.Add(kpl.Record{PartitionKey: "user-2", Data: []byte("bought")})
	payload := a.AppendTo(nil)

	records, err := kpl.Decode(nil, payload)
	if errors.Is(err, kpl.ErrNotAggregate) {
		fmt.Println("a plain record")
	}
	for _, r := range records {
		fmt.Printf("%s %s\n", r.PartitionKey, r.Data)
	}
	// Output:
	// user-1 clicked
	// user-2 bought
}
