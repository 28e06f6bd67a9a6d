package kinesis_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/kinesis"
)

// ids are the shards of an answer.
func ids(shards any) string {
	var all []string
	list, _ := shards.([]any)
	for _, s := range list {
		id := fmt.Sprint(s.(object)["ShardId"])
		all = append(all, id[len(id)-2:])
	}
	return fmt.Sprint(all)
}

func shardID(n int) string { return fmt.Sprintf("shardId-%012d", n) }

func TestSplitAndMerge(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 2)
		split := func(shard int, at string) object {
			return object{"StreamName": "a", "ShardToSplit": shardID(shard), "NewStartingHashKey": at}
		}
		merge := func(a, b int) object {
			return object{"StreamName": "a", "ShardToMerge": shardID(a), "AdjacentShardToMerge": shardID(b)}
		}
		half, last := new(big.Int).Lsh(big.NewInt(1), 127), new(big.Int).Lsh(big.NewInt(1), 127)
		last.Sub(last, big.NewInt(1))
		for _, at := range []string{"0", "1", last.String(), half.String()} {
			r.refused("SplitShard", split(0, at), "InvalidArgumentException", fmt.Sprintf("NewStartingHashKey %s used in SplitShard() on shard shardId-000000000000 in stream a under account 000000000000 is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey %s.", at, last))
		}
		r.refused("SplitShard", split(9, "5"), "ResourceNotFoundException", "Could not find shard shardId-000000000009 in stream a under account 000000000000.")
		r.refused("SplitShard", object{"StreamName": "a", "ShardToSplit": "foo", "NewStartingHashKey": "5"}, "ResourceNotFoundException", "Could not find shard foo in stream a under account 000000000000.")
		r.refused("MergeShards", merge(0, 0), "InvalidArgumentException", "Shards shardId-000000000000 and shardId-000000000000 in stream a under account 000000000000 are not an adjacent pair of shards eligible for merging")

		if out := r.ok("SplitShard", split(0, "2")); out != nil {
			t.Errorf("SplitShard: got %v, want an empty body", out)
		}
		want(t, "status", r.status("a"), "UPDATING")
		r.refused("SplitShard", split(1, half.String()), "ResourceInUseException", "Stream a under account 000000000000 not ACTIVE, instead in state UPDATING")
		r.settle("a")
		r.refused("SplitShard", split(0, "2"), "InvalidArgumentException", "Shard shardId-000000000000 in stream a under account 000000000000 has already been merged or split, and thus is not eligible for merging or splitting.")
		r.refused("MergeShards", merge(1, 2), "InvalidArgumentException", "Shards shardId-000000000001 and shardId-000000000002 in stream a under account 000000000000 are not an adjacent pair of shards eligible for merging")
		r.ok("MergeShards", merge(1, 3))
		r.settle("a")

		shards := r.ok("ListShards", object{"StreamName": "a"})["Shards"].([]any)
		want(t, "shards", ids(shards), "[00 01 02 03 04]")
		for i, c := range []struct {
			first, last      string
			parent, adjacent any
			closed           bool
		}{
			{"0", last.String(), nil, nil, true},
			{half.String(), "340282366920938463463374607431768211455", nil, nil, true},
			{"0", "1", shardID(0), nil, false},
			{"2", last.String(), shardID(0), nil, true},
			{"2", "340282366920938463463374607431768211455", shardID(1), shardID(3), false},
		} {
			s := shards[i].(object)
			want(t, "range", s["HashKeyRange"], fmt.Sprintf("map[EndingHashKey:%s StartingHashKey:%s]", c.last, c.first))
			want(t, "parents", words(s["ParentShardId"], s["AdjacentParentShardId"]), words(c.parent, c.adjacent))
			if end := field(s, "SequenceNumberRange.EndingSequenceNumber"); (end != nil) != c.closed {
				t.Errorf("shard %d: EndingSequenceNumber is %v", i, end)
			}
		}
		want(t, "open shards", field(r.ok("DescribeStreamSummary", object{"StreamName": "a"}), "StreamDescriptionSummary.OpenShardCount"), 2)
		want(t, "described", ids(field(r.ok("DescribeStream", object{"StreamName": "a", "ExclusiveStartShardId": shardID(2)}), "StreamDescription.Shards")), "[03 04]")
		d := r.ok("DescribeStream", object{"StreamName": "a", "Limit": 2})
		want(t, "two described", ids(field(d, "StreamDescription.Shards"))+fmt.Sprint(field(d, "StreamDescription.HasMoreShards")), "[00 01]true")
	})
}

func TestListShards(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 2)
		made := r.ok("DescribeStream", object{"StreamName": "a"})["StreamDescription"].(object)["StreamCreationTimestamp"]
		time.Sleep(10 * time.Second)
		before := time.Now()
		time.Sleep(10*time.Second + 123*time.Millisecond)
		r.ok("SplitShard", object{"StreamName": "a", "ShardToSplit": shardID(0), "NewStartingHashKey": "1000"})
		r.settle("a")
		after := time.Now()
		time.Sleep(10 * time.Second)
		r.ok("MergeShards", object{"StreamName": "a", "ShardToMerge": shardID(3), "AdjacentShardToMerge": shardID(1)})
		r.settle("a")
		seconds := func(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }
		for _, c := range []struct {
			filter object
			want   string
		}{
			{nil, "[00 01 02 03 04]"},
			{object{"Type": "AFTER_SHARD_ID", "ShardId": shardID(2)}, "[03 04]"},
			{object{"Type": "AT_TRIM_HORIZON"}, "[00 01]"},
			{object{"Type": "FROM_TRIM_HORIZON"}, "[00 01 02 03 04]"},
			{object{"Type": "AT_LATEST"}, "[02 04]"},
			{object{"Type": "AT_TIMESTAMP", "Timestamp": seconds(before)}, "[00 01]"},
			{object{"Type": "AT_TIMESTAMP", "Timestamp": seconds(after)}, "[01 02 03]"},
			{object{"Type": "AT_TIMESTAMP", "Timestamp": 1}, "[00 01]"},
			{object{"Type": "AT_TIMESTAMP", "Timestamp": seconds(time.Now())}, "[02 04]"},
			{object{"Type": "FROM_TIMESTAMP", "Timestamp": seconds(before)}, "[00 01 02 03 04]"},
			{object{"Type": "FROM_TIMESTAMP", "Timestamp": seconds(after)}, "[01 02 03 04]"},
			{object{"Type": "FROM_TIMESTAMP", "Timestamp": 1}, "[00 01 02 03 04]"},
		} {
			in := object{"StreamName": "a"}
			if c.filter != nil {
				in["ShardFilter"] = c.filter
			}
			want(t, fmt.Sprint(c.filter), ids(r.ok("ListShards", in)["Shards"]), c.want)
			in["MaxResults"] = 1
			var paged []any
			for {
				out := r.ok("ListShards", in)
				page, _ := out["Shards"].([]any)
				paged = append(paged, page...)
				if out["NextToken"] == nil {
					break
				}
				in = object{"NextToken": out["NextToken"], "MaxResults": 1}
			}
			want(t, fmt.Sprint(c.filter, " in pages"), ids(paged), c.want)
		}
		want(t, "after 3", ids(r.ok("ListShards", object{"StreamName": "a", "ExclusiveStartShardId": shardID(3)})["Shards"]), "[04]")
		want(t, "of that creation", ids(r.ok("ListShards", object{"StreamName": "a", "StreamCreationTimestamp": made})["Shards"]), "[00 01 02 03 04]")

		token := r.ok("ListShards", object{"StreamName": "a", "MaxResults": 1})["NextToken"]
		for _, c := range []struct {
			in            object
			code, message string
		}{
			{object{}, "InvalidArgumentException", "Either NextToken or StreamName should be provided."},
			{object{"StreamName": "a", "NextToken": token}, "InvalidArgumentException", "NextToken and StreamName cannot be provided together."},
			{object{"ExclusiveStartShardId": shardID(1), "NextToken": token}, "InvalidArgumentException", "NextToken and ExclusiveStartShardId cannot be provided together."},
			{object{"NextToken": "AAAAAAAAAAAAAAAAAAAAAAAA"}, "InvalidArgumentException", "NextToken is not valid."},
			{object{"StreamName": "a", "StreamCreationTimestamp": 1}, "ResourceNotFoundException", "Stream a under account 000000000000 not found."},
			{object{"StreamName": "a", "ExclusiveStartShardId": "x"}, "InvalidArgumentException", "ExclusiveStartShardId x is not valid."},
			{object{"StreamName": "a", "ShardFilter": object{"Type": "AT_TIMESTAMP"}}, "InvalidArgumentException", "Timestamp must be provided in the ShardFilter when its type is AT_TIMESTAMP."},
			{object{"StreamName": "a", "ShardFilter": object{"Type": "AT_LATEST", "ShardId": "x"}}, "InvalidArgumentException", "ShardId cannot be provided in the ShardFilter when its type is AT_LATEST."},
			{object{"StreamName": "a", "ShardFilter": object{"Type": "AT_TIMESTAMP", "Timestamp": 1e10}}, "InvalidArgumentException", "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. …"},
		} {
			r.refused("ListShards", c.in, c.code, c.message)
		}
		time.Sleep(300 * time.Second)
		r.ok("ListShards", object{"NextToken": token})
		time.Sleep(time.Second)
		r.refused("ListShards", object{"NextToken": token}, "ExpiredNextTokenException", "NextToken has expired: …")
	})
}

func scale(to int) object {
	return object{"StreamName": "a", "ScalingType": "UNIFORM_SCALING", "TargetShardCount": to}
}

func TestUpdateShardCountRefuses(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 4)
		r.refused("UpdateShardCount", scale(9), "InvalidArgumentException", "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 4 Target shard count: 9")
		r.refused("UpdateShardCount", scale(1), "InvalidArgumentException", "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: 4 Target shard count: 1")
		r.refused("UpdateShardCount", scale(7), "LimitExceededException", "This request would exceed the shard limit for the account 000000000000 in us-east-1. Current shard count for the account: 4. Limit: 6. Number of additional shards that would have resulted from this request: 3. …")
		out := r.ok("UpdateShardCount", scale(6))
		want(t, "answer", out, "map[CurrentShardCount:4 StreamARN:"+arnOf("a")+" StreamName:a TargetShardCount:6]")
		want(t, "status", r.status("a"), "UPDATING")
		r.settle("a")
		for i := 1; i < 10; i++ {
			r.ok("UpdateShardCount", scale(5+i%2))
			r.settle("a")
		}
		r.refused("UpdateShardCount", scale(5), "LimitExceededException", "The shard count of stream a under account 000000000000 was updated 10 times in the last 24 hours, the most that is allowed.")
		time.Sleep(24 * time.Hour)
		r.ok("UpdateShardCount", scale(5))
	}, func(o *kinesis.Options) { o.ShardLimit, o.ShardLimits = 6, true })
}

// After UpdateShardCount to n the open shards are those that a stream of n shards begins
// with, whatever they were before, and no record is lost or moved before another of its key.
func TestUpdateShardCountSharesOutAllKeys(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			inRig(t, func(t *testing.T, r *rig) { scaleAtRandom(t, r, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func scaleAtRandom(t *testing.T, r *rig, chance *rand.Rand) {
	r.create("a", 1+chance.IntN(12))
	s, _ := r.log.Stream("a")
	if chance.IntN(2) == 0 {
		r.ok("SplitShard", object{"StreamName": "a", "ShardToSplit": shardID(0), "NewStartingHashKey": "77777"})
		r.settle("a")
	}
	ctx, end := context.WithCancel(context.Background())
	defer end()
	written := make(chan map[string]int)
	go func() { written <- writeUntil(ctx, t, s) }()
	for range 3 {
		open := len(s.OpenShards())
		least := (open + 1) / 2
		n := least + chance.IntN(2*open-least+1)
		r.ok("UpdateShardCount", scale(n))
		r.settle("a")
		checkEven(t, s, n)
	}
	end()
	checkWritten(t, s, <-written)
}

// checkEven wants the open shards of a fresh stream of n shards.
func checkEven(t testing.TB, s *stream.Stream, n int) {
	t.Helper()
	open := s.OpenShards()
	if len(open) != n {
		t.Fatalf("got %d open shards, want %d", len(open), n)
	}
	all := new(big.Int).Lsh(big.NewInt(1), 128)
	width := new(big.Int).Div(all, big.NewInt(int64(n)))
	for i, sh := range open {
		first, last := sh.Range()
		end := new(big.Int).Mul(width, big.NewInt(int64(i+1)))
		if i == n-1 {
			end = all
		}
		wantFirst, wantLast := new(big.Int).Mul(width, big.NewInt(int64(i))), new(big.Int).Sub(end, big.NewInt(1))
		if first.String() != wantFirst.String() || last.String() != wantLast.String() {
			t.Fatalf("open shard %d of %d: got %s to %s, want %s to %s", i, n, first, last, wantFirst, wantLast)
		}
	}
}

// writeUntil writes numbered records under some keys and returns how many are durable.
func writeUntil(ctx context.Context, t testing.TB, s *stream.Stream) map[string]int {
	written := map[string]int{}
	chance := rand.New(rand.NewPCG(1, 2))
	for ctx.Err() == nil {
		key := strconv.Itoa(chance.IntN(20))
		sh := s.ShardFor(stream.HashPartitionKey(key))
		_, err := sh.Append(context.Background(), []stream.Entry{{PartitionKey: key, Data: []byte(strconv.Itoa(written[key]))}})
		switch {
		case errors.Is(err, stream.ErrMoved):
			if err := sh.Settled(context.Background()); err != nil {
				t.Error(err)
			}
		case err != nil:
			t.Errorf("write: %v", err)
			return written
		default:
			written[key]++
		}
		time.Sleep(time.Millisecond)
	}
	return written
}

// checkWritten reads all shards, parents before children.
func checkWritten(t testing.TB, s *stream.Stream, written map[string]int) {
	t.Helper()
	read := map[string]int{}
	for _, sh := range s.Shards() {
		r := sh.Reader(sh.Horizon())
		for r.Offset() < sh.Durable() {
			records, err := r.Next(context.Background(), 0)
			if err != nil {
				t.Fatalf("%s: %v", sh, err)
			}
			for _, rec := range records {
				key := string(rec.PartitionKey)
				if got := string(rec.Data); got != strconv.Itoa(read[key]) {
					t.Fatalf("key %s: got record %s, want %d", key, got, read[key])
				}
				read[key]++
			}
		}
		r.Close()
	}
	for key, n := range written {
		if read[key] != n {
			t.Errorf("key %s: read %d records, want %d", key, read[key], n)
		}
	}
}
