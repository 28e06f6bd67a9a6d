package consumer_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"freshet/stream"
	"freshet/stream/consumer"

	"pgregory.net/rapid"
)

// shares reads "a b -" as leases of a, of b, and a free one. "a>b" is asked for by b,
// "->b" handed over to it, "!" free and stale.
func shares(s string) []consumer.Share {
	var all []consumer.Share
	for i, word := range strings.Fields(s) {
		owner, next, _ := strings.Cut(word, ">")
		l := consumer.Share{Shard: stream.ShardID(i), Owner: owner, Next: next}
		if owner == "-" || owner == "!" {
			l.Owner, l.Stale = "", owner == "!"
		}
		all = append(all, l)
	}
	return all
}

func TestAssign(t *testing.T) {
	for name, c := range map[string]struct {
		leases string
		limit  int
		take   int // how many
		ask    string
	}{
		"nothing there":                 {"", 0, 0, "-"},
		"alone":                         {"- - -", 0, 3, "-"},
		"alone, with a limit":           {"- - -", 2, 2, "-"},
		"a share of what is free":       {"b b - - -", 0, 3, "-"},
		"a share, rounded up":           {"b - - - -", 0, 3, "-"},
		"no more than the share":        {"me me me - b b", 0, 0, "-"},
		"beyond it when stale":          {"me me me ! ! b", 0, 1, "-"},
		"stale, but at the limit":       {"me me me ! ! b", 3, 0, "-"},
		"asks the most loaded":          {"b b b c c", 0, 0, "2"},
		"asks the first by name":        {"c c b b", 0, 0, "3"},
		"takes before it asks":          {"b b b -", 0, 1, "-"},
		"one at a time":                 {"b b b>me", 0, 0, "-"},
		"what is handed over":           {"b b ->me", 0, 1, "-"},
		"even, one more":                {"b b me", 0, 0, "-"},
		"even":                          {"b b me me", 0, 0, "-"},
		"two more":                      {"b b b me", 0, 0, "2"},
		"three share four":              {"b b c c", 0, 0, "1"},
		"asked by others counts as so":  {"b b b>c me", 0, 0, "-"},
		"handed to others is not free":  {"->b ->b me me", 0, 0, "-"},
		"does not ask beyond its share": {"b b b b b b b b b me me me", 0, 0, "8"},
		"at its share it does not ask":  {"b b b b b b b b me me me me c c", 4, 0, "-"},
		"at the limit":                  {"b b b b me", 1, 0, "-"},
		"not itself":                    {"me me me b", 0, 0, "-"},
	} {
		t.Run(name, func(t *testing.T) {
			take, ask := consumer.Assign("me", shares(c.leases), c.limit)
			asked := "-"
			if ask != nil {
				asked = fmt.Sprint(uint32(*ask))
			}
			if len(take) != c.take || asked != c.ask {
				t.Errorf("got %v, asking for %s; want %d, asking for %s", take, asked, c.take, c.ask)
			}
		})
	}
}

// TestAssignSpreads lets workers come, go and act in any order: it ends in an even
// spread, and nobody acts any more.
func TestAssignSpreads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leases := make([]consumer.Share, rapid.IntRange(0, 40).Draw(t, "leases"))
		for i := range leases {
			leases[i].Shard = stream.ShardID(i)
		}
		live := map[string]bool{}
		act := func(me string) (acted bool) {
			take, ask := consumer.Assign(me, leases, 0)
			for _, id := range take {
				leases[id].Owner, leases[id].Next = me, ""
			}
			if ask != nil {
				leases[*ask].Next = me
			}
			return len(take) > 0 || ask != nil
		}
		hand := func() {
			for i := range leases {
				if leases[i].Next != "" {
					leases[i].Owner = ""
				}
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			me := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "worker")
			switch rapid.IntRange(0, 4).Draw(t, "do") {
			case 0: // it goes
				delete(live, me)
				for i := range leases {
					if leases[i].Owner == me || leases[i].Owner == "" && leases[i].Next == me {
						leases[i].Owner, leases[i].Next = "", ""
					} else if leases[i].Next == me {
						leases[i].Next = ""
					}
				}
			case 1:
				hand()
			default:
				live[me] = true
				act(me)
			}
		}
		if len(live) == 0 {
			return
		}
		quiet := false
		for range 20 * (len(leases) + 1) {
			hand()
			quiet = true
			for me := range live {
				quiet = !act(me) && quiet
			}
			if quiet {
				break
			}
		}
		if !quiet {
			t.Fatalf("it does not come to rest: %v", leases)
		}
		load := map[string]int{}
		for _, l := range leases {
			load[l.Owner]++
		}
		least, most := math.MaxInt, 0
		for me := range live {
			least, most = min(least, load[me]), max(most, load[me])
		}
		if load[""] > 0 || most-least > 1 {
			t.Fatalf("got spread %v", load)
		}
	})
}
