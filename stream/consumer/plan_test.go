package consumer_test

import (
	"fmt"
	"strings"
	"testing"

	"freshet/stream"
	"freshet/stream/consumer"
)

// TestPlan describes shards as "0x 1 2<0 4<0,1": 0 is closed, 2 is a child of 0. Leases
// are "0=end 1=horizon 2=7": 2 stands after its record 7; a * is one with an owner.
func TestPlan(t *testing.T) {
	latest := consumer.Position{Kind: consumer.Latest}
	at := consumer.Position{Kind: consumer.AtTimestamp, Time: 5}
	for name, c := range map[string]struct {
		start          consumer.Position
		below          stream.ShardID
		shards, leases string
		create, remove string
	}{
		"at first sight":                         {consumer.Position{}, 2, "0 1", "", "0=TRIM_HORIZON 1=TRIM_HORIZON", ""},
		"at first sight, after a split":          {consumer.Position{}, 4, "0x 1 2<0 3<0", "", "0=TRIM_HORIZON 1=TRIM_HORIZON", ""},
		"latest":                                 {latest, 2, "0 1", "", "0=LATEST 1=LATEST", ""},
		"latest, after a split":                  {latest, 4, "0x 1 2<0 3<0", "", "0=SHARD_END 1=LATEST 2=LATEST 3=LATEST", ""},
		"latest, after two reshards":             {latest, 5, "0x 1x 2x<0 3<0 4<2,1", "", "0=SHARD_END 1=SHARD_END 2=SHARD_END 3=LATEST 4=LATEST", ""},
		"latest, split later":                    {latest, 2, "0x 1 2<0 3<0", "0=end 1=5", "2=TRIM_HORIZON 3=TRIM_HORIZON", ""},
		"timestamp, after a split":               {at, 4, "0x 1 2<0 3<0", "0=end 1=5", "2=AT_TIMESTAMP 5 3=AT_TIMESTAMP 5", ""},
		"the parent has not ended":               {consumer.Position{}, 2, "0x 1 2<0 3<0", "0=9 1=5", "", ""},
		"one of two parents has not ended":       {consumer.Position{}, 2, "0x 1x 2<0,1", "0=end 1=5", "", ""},
		"both have":                              {consumer.Position{}, 2, "0x 1x 2<0,1", "0=end 1=end", "2=TRIM_HORIZON", ""},
		"the parent has no lease yet":            {consumer.Position{}, 2, "0x 1 2<0 3<0", "1=5", "0=TRIM_HORIZON", ""},
		"the parent is past retention":           {consumer.Position{}, 2, "1 2<0 3<0", "1=5", "2=TRIM_HORIZON 3=TRIM_HORIZON", ""},
		"it is, and has not ended":               {consumer.Position{}, 2, "1 2<0 3<0", "0=4* 1=5", "2=TRIM_HORIZON 3=TRIM_HORIZON", ""},
		"gone once the children have begun":      {consumer.Position{}, 2, "1 2<0 3<0", "0=end 1=5 2=1 3=end", "", "0"},
		"an owner has begun":                     {consumer.Position{}, 2, "1 2<0 3<0", "0=end 1=5 2=1 3=horizon*", "", "0"},
		"not before":                             {consumer.Position{}, 2, "1 2<0 3<0", "0=end 1=5 2=1 3=horizon", "", ""},
		"not while it is kept":                   {consumer.Position{}, 2, "0x 1 2<0 3<0", "0=end 1=5 2=1 3=1", "", ""},
		"not before it has ended":                {consumer.Position{}, 2, "1 2<0 3<0", "0=4 1=5 2=1 3=1", "", ""},
		"a whole family goes":                    {consumer.Position{}, 2, "5<2,3", "0=end 2=end 3=end 5=1", "", "0 2 3"},
		"the children's children, by one's self": {consumer.Position{}, 9, "0x 1x<0 2x<1 3<2", "0=end", "1=TRIM_HORIZON", ""},
	} {
		t.Run(name, func(t *testing.T) {
			create, remove := consumer.Plan(c.start, c.below, parseShards(c.shards), parseLeases(c.leases))
			var made, gone []string
			for _, l := range create {
				made = append(made, fmt.Sprintf("%d=%s", l.Shard, l.Checkpoint))
			}
			for _, l := range remove {
				gone = append(gone, fmt.Sprint(uint32(l.Shard)))
			}
			if got := strings.Join(made, " "); got != c.create {
				t.Errorf("makes %q, want %q", got, c.create)
			}
			if got := strings.Join(gone, " "); got != c.remove {
				t.Errorf("removes %q, want %q", got, c.remove)
			}
		})
	}
}

func number(s string) (id stream.ShardID) {
	fmt.Sscan(s, &id)
	return id
}

func parseShards(s string) []consumer.Shard {
	var all []consumer.Shard
	for _, word := range strings.Fields(s) {
		name, parents, _ := strings.Cut(word, "<")
		shard := consumer.Shard{ID: number(strings.TrimSuffix(name, "x")), Closed: strings.HasSuffix(name, "x")}
		for _, p := range strings.FieldsFunc(parents, func(r rune) bool { return r == ',' }) {
			shard.Parents = append(shard.Parents, number(p))
		}
		all = append(all, shard)
	}
	return all
}

func parseLeases(s string) []consumer.Lease {
	var all []consumer.Lease
	for _, word := range strings.Fields(s) {
		name, at, _ := strings.Cut(word, "=")
		l := consumer.Lease{Shard: number(name)}
		if strings.HasSuffix(at, "*") {
			l.Owner = "somebody"
		}
		switch at = strings.TrimSuffix(at, "*"); at {
		case "end":
			l.Checkpoint.Kind = consumer.ShardEnd
		case "horizon":
		default:
			l.Checkpoint = consumer.Position{Kind: consumer.AfterRecord, Sequence: stream.SequenceNumber{Shard: l.Shard, Offset: stream.Offset(number(at))}}
		}
		all = append(all, l)
	}
	return all
}
