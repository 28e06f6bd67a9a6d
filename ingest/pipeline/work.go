package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"freshet/ingest"
	"freshet/ingest/point"
	"freshet/stream"
	"freshet/stream/consumer"
)

// A run ends with the last of the records that became durable together, or with the
// record that reaches one of these bounds. They are part of what makes a run the same run
// after a crash: changing them makes other runs of the same records.
const (
	runRecords = 256       // as they are in the log: an aggregate is one
	runBytes   = 256 << 10 // likewise
	runMade    = 50_000    // points and records that the run made
	runText    = 4 << 20   // bytes of their strings
)

// So many runs, or bytes of their strings, are submitted before the first has to be durable.
// Many share one write of the log then.
const (
	maxFlights = 64
	maxFlying  = 4 << 20
)

// work is what a pipeline does on one shard. It belongs to the shard's goroutine, but for
// what mu guards.
type work struct {
	run     *runner
	shard   consumer.Shard
	key     [16]byte
	machine *Machine

	seen consumer.Position // records up to here are in the run, or were in one before

	// The run under way.
	open       bool
	complete   bool            // and waits to be posted
	last       consumer.Record // without its data
	records    int
	bytes      int
	made, text int
	post       *ingest.Post

	// The runs that were submitted, in order, and what goes to other streams.
	flights []flight
	flying  int // bytes of strings in them
	routes  []route
	now     Input
	rec     *consumer.Record

	behind atomic.Int64 // milliseconds, as of the last batch

	mu         sync.Mutex
	durable    consumer.Record // the last of the runs that are posted, when there is one
	any        bool
	saved      bool // durable is checkpointed
	checkpoint *consumer.Checkpointer
}

// A flight is a run that is submitted.
type flight struct {
	post *ingest.Post
	last consumer.Record // without its data
}

// A route is the records of runs that go to another stream.
type route struct {
	stream  string
	entries []stream.Entry
}

func newWork(r *runner, shard consumer.Shard) *work {
	return &work{run: r, shard: shard, machine: r.program.Machine(), key: runKey(r.id, r.source.Number(), shard.ID)}
}

// runKey names the runs of a pipeline on a shard, together with the offset of the first record.
func runKey(pipeline string, streamNumber uint64, shard stream.ShardID) [16]byte {
	b := append([]byte("freshet pipeline run 1\x00"), pipeline...)
	b = binary.BigEndian.AppendUint64(append(b, 0), streamNumber)
	b = binary.BigEndian.AppendUint32(b, uint32(shard))
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// process takes the records of a batch. It may get some again after an error.
func (w *work) process(ctx context.Context, b consumer.Batch) error {
	w.mu.Lock()
	w.checkpoint = b.Checkpointer
	w.mu.Unlock()
	w.behind.Store(b.MillisBehind)
	if w.complete { // as an attempt before has left it
		if err := w.submit(ctx); err != nil {
			return err
		}
	}
	for i := range b.Records {
		rec := &b.Records[i]
		if rec.Position().Compare(w.seen) <= 0 {
			continue
		}
		w.take(rec)
		if !w.complete {
			continue
		}
		if err := w.submit(ctx); err != nil {
			return err
		}
	}
	return w.settle(ctx)
}

// take makes of a record what the program says, as a part of the run.
func (w *work) take(rec *consumer.Record) {
	if !w.open {
		w.open, w.records, w.bytes, w.made, w.text = true, 0, 0, 0, 0
		w.post = w.run.ingest.NewPost()
		w.post.SetKey(w.name(rec))
	}
	w.rec = rec
	w.now = Input{Data: rec.Data, Key: rec.PartitionKey, Arrived: rec.Arrived}
	if w.machine.p.wantRecord {
		w.now.Stream, w.now.Shard, w.now.Sequence = w.run.source.Name(), w.shard.ID.String(), rec.Sequence.String()
	}
	o := w.machine.Run(&w.now, w)
	w.run.counters.note(o)
	w.rec = nil
	w.seen = rec.Position()
	w.last = *rec
	w.last.Data, w.last.PartitionKey = nil, nil
	w.bytes += len(rec.Data) + len(rec.PartitionKey)
	w.made += o.Points + o.Records
	w.text += o.Bytes
	w.complete = w.made >= runMade || w.text >= runText
	if !w.seen.Within {
		w.records++
		w.complete = w.complete || rec.Last || w.records >= runRecords || w.bytes >= runBytes
	}
}

// name is that of the run which begins with a record.
func (w *work) name(rec *consumer.Record) point.Key {
	k := point.KeyOf(w.key, uint64(rec.Sequence.Offset))
	if rec.Sub > 0 { // within an aggregate
		k = k.With(uint64(rec.Sub))
	}
	return k
}

// Point implements Sink.
func (w *work) Point(v *point.View) { w.post.Add(0, v) }

// Record implements Sink.
func (w *work) Record(name, key string, data []byte) {
	i := 0
	for i < len(w.routes) && w.routes[i].stream != name {
		i++
	}
	if i == len(w.routes) {
		w.routes = append(w.routes, route{stream: name})
	}
	r := &w.routes[i]
	r.entries = append(r.entries, stream.Entry{PartitionKey: key, Data: data})
}

// Mishap implements Sink.
func (w *work) Mishap(m Mishap) {
	w.run.mishaps.add(Kept{
		At: time.Now().UnixMilli(), Shard: w.shard.ID.String(), Sequence: w.rec.Sequence.String(), Sub: w.rec.Sub,
		Key: head(w.rec.PartitionKey), Field: m.Field, Reason: m.Reason, Head: head(w.rec.Data),
	})
}

// submit hands the points of the run to the log. After an error the same run is submitted
// again.
func (w *work) submit(ctx context.Context) error {
	if err := w.post.Submit(ctx); err != nil {
		return w.run.blocked(err)
	}
	w.flights = append(w.flights, flight{w.post, w.last})
	w.flying += w.text
	w.post, w.open, w.complete = nil, false, false
	if len(w.flights) < maxFlights && w.flying < maxFlying {
		return nil
	}
	return w.settle(ctx)
}

// settle waits until all that was submitted is durable. After an error it is called again;
// what was appended until then stays.
func (w *work) settle(ctx context.Context) error {
	for len(w.routes) > 0 {
		if err := w.run.forward(ctx, &w.routes[0]); err != nil {
			return w.run.blocked(err)
		}
		w.routes = w.routes[1:]
	}
	for len(w.flights) > 0 {
		f := &w.flights[0]
		if _, err := f.post.Wait(ctx); err != nil {
			return w.run.blocked(err)
		}
		f.post.Free()
		w.run.counters.runs.Add(1)
		w.mu.Lock()
		w.durable, w.any, w.saved = f.last, true, false
		w.mu.Unlock()
		w.flights = w.flights[1:]
	}
	w.flights, w.flying = nil, 0
	return w.run.blocked(nil)
}

// save checkpoints the runs that are durable.
func (w *work) save(ctx context.Context) error {
	w.mu.Lock()
	at, c, due := w.durable, w.checkpoint, w.any && !w.saved && w.checkpoint != nil
	w.mu.Unlock()
	if !due {
		return nil
	}
	err := c.At(ctx, at)
	if errors.Is(err, consumer.ErrNotProcessed) || errors.Is(err, consumer.ErrLeaseLost) {
		return nil // the batch of its last record is under way; or another worker goes on
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saved = w.durable.Sequence == at.Sequence && w.durable.Sub == at.Sub
	return nil
}

// finish lets go of the shard. A run that is open at its end is complete: there are no more
// records for it.
func (w *work) finish(ctx context.Context, why consumer.Reason) error {
	if why == consumer.Ended {
		if w.open {
			if err := w.submit(ctx); err != nil {
				return err
			}
		}
		return w.settle(ctx)
	}
	if w.open || len(w.flights) > 0 {
		w.post, w.routes, w.flights = nil, nil, nil
		if why == consumer.Stopped {
			err := w.save(ctx)
			return errors.Join(errOpenRun, err)
		}
	}
	return nil
}

// errOpenRun keeps the worker from a checkpoint within a run.
var errOpenRun = errors.New("the run under way is worked through again")
