package kinesis_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"freshet/ingest/producer"
	"freshet/stream"
	"freshet/stream/kpl"
)

// TestProducer puts records with the SDK of this repository while shards split and merge,
// and reads them as consumers of the KPL's records do.
func TestProducer(t *testing.T) {
	t.Parallel()
	s := startSDK(t)
	c := s.client(t, false)
	name := s.make(t, c, "produced", 2)
	k, err := producer.NewKinesis(producer.KinesisOptions{
		URL: s.url, Stream: *name, Credentials: producer.Credentials{AccessKey: sdkKey, SecretKey: sdkSecret},
		StrictOrder: true, RatePercent: -1, MaxAge: 5 * time.Millisecond, OnFull: producer.Block,
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- k.Run(t.Context()) }()
	const n = 4000
	var mu sync.Mutex
	failed := 0
	for i := range n {
		err := k.Put(producer.Record{PartitionKey: fmt.Sprint("key-", i%50), Data: fmt.Appendf(nil, "%06d %s", i, strings.Repeat("x", 100))}, func(r producer.Result) {
			mu.Lock()
			defer mu.Unlock()
			if r.Err != nil || r.Shard == "" || len(r.SequenceNumber) != 56 {
				failed++
				t.Errorf("record %d: got %+v", i, r)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		switch i {
		case n / 4:
			_, err = c.SplitShard(t.Context(), &sdk.SplitShardInput{StreamName: name, ShardToSplit: sdkShard(0), NewStartingHashKey: aws.String("85070591730234615865843651857942052864")})
		case n / 2:
			s.settle(t, c, *name)
			_, err = c.MergeShards(t.Context(), &sdk.MergeShardsInput{StreamName: name, ShardToMerge: sdkShard(3), AdjacentShardToMerge: sdkShard(1)})
		}
		if err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
	if err := k.Close(t.Context()); err != nil {
		t.Error(err)
	}
	<-done
	s.settle(t, c, *name)
	stats := k.Stats()
	if stats.Sent != n || stats.WrongShard == 0 || stats.Records > n/2 {
		t.Errorf("got %+v, want %d sent in fewer records, and some put again for their shard", stats, n)
	}
	s.wantOnce(t, c, name, n)
}

// wantOnce reads a stream shard by shard, skips user records that are not of their shard,
// and checks that every record is there once, and in order of its key.
func (s *sdkServer) wantOnce(t *testing.T, c *sdk.Client, name *string, n int) {
	t.Helper()
	ranges := make(map[string]types.HashKeyRange)
	for _, shard := range s.list(t, c, name, nil) {
		ranges[*shard.ShardId] = *shard.HashKeyRange
	}
	seen, last := make(map[string]bool), make(map[string]string)
	for i := range len(ranges) {
		it := s.iterator(t, c, name, i)
		for it != nil {
			out, err := c.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: it})
			for _, r := range ok(t, out, err).Records {
				users, err := kpl.Decode(nil, r.Data)
				if err != nil {
					users = []kpl.Record{{PartitionKey: *r.PartitionKey, Data: r.Data}}
				}
				for _, u := range users {
					if !holds(ranges[*sdkShard(i)], u.PartitionKey) {
						continue
					}
					number := string(u.Data[:6])
					if seen[number] || last[u.PartitionKey] >= number {
						t.Errorf("record %s of %s comes after %s", number, u.PartitionKey, last[u.PartitionKey])
					}
					seen[number], last[u.PartitionKey] = true, number
				}
			}
			it = out.NextShardIterator
			if len(out.Records) == 0 && *out.MillisBehindLatest == 0 {
				break
			}
		}
	}
	if len(seen) != n {
		t.Errorf("got %d records, want %d", len(seen), n)
	}
}

// holds reports whether a range of hash keys holds that of a partition key.
func holds(r types.HashKeyRange, key string) bool {
	first, err1 := stream.ParseHashKey(*r.StartingHashKey)
	last, err2 := stream.ParseHashKey(*r.EndingHashKey)
	h := stream.HashPartitionKey(key)
	return err1 == nil && err2 == nil && first.Compare(h) <= 0 && h.Compare(last) <= 0
}
