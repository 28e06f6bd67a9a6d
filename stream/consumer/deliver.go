package consumer

import (
	"errors"
	"runtime/debug"
	"time"

	"freshet/stream"
)

// read delivers the shard's records until an error, which is stream.ErrEnd, errStopped or
// ErrLeaseLost.
func (h *held) read() error {
	wait := h.w.o.RetryWait
	for {
		from := h.next
		err := h.readOn()
		switch {
		case h.ctx.Err() != nil:
			return h.whyLost()
		case h.reading.Err() != nil:
			return errStopped
		case errors.Is(err, stream.ErrEnd):
			return stream.ErrEnd
		case errors.Is(err, stream.ErrNoShard):
			h.log.Error("the shard went past its retention before it was read to its end", "processed", h.checkpointer.Processed())
			return stream.ErrEnd
		case errors.Is(err, stream.ErrTrimmed) && h.next.Kind != TrimHorizon:
			h.log.Error("records went past their retention before they were read; going on at the first that is kept", "processed", h.checkpointer.Processed(), "error", err)
			h.next = Position{Kind: TrimHorizon}
			continue
		}
		if h.next != from {
			wait = h.w.o.RetryWait
		}
		h.w.counters.readFailures.Add(1)
		h.log.Error("the shard cannot be read; trying again", "at", h.next, "error", err)
		h.pause(wait)
		wait = min(2*wait, h.w.o.RetryMax)
	}
}

// readOn opens the shard where reading goes on, and delivers until an error.
func (h *held) readOn() error {
	o := &h.w.o
	reader, err := o.Source.Open(h.reading, h.shard.ID, h.next)
	if err != nil {
		return err
	}
	defer reader.Close()
	h.unpacker.reset(h.next)
	for {
		began := time.Now()
		raw, behind, err := reader.Next(h.reading, o.BatchRecords, o.BatchBytes)
		if err != nil {
			return err
		}
		h.gap(raw)
		h.unpacker.feed(raw)
		for {
			records, end, ok := h.unpacker.next(o.BatchRecords, o.BatchBytes)
			if !ok {
				break
			}
			if err := h.deliver(records, behind, o.Attempts); err != nil {
				return err
			}
			h.advance(end)
			h.next = end
			h.checkpointNow()
			if h.reading.Err() != nil {
				return errStopped
			}
		}
		if o.PollEvery > 0 && !h.pause(o.PollEvery-time.Since(began)) {
			return errStopped
		}
	}
}

// gap counts the records that retention has dropped between those that were processed
// and the first of a read.
func (h *held) gap(raw []Record) {
	p := h.checkpointer.Processed()
	if h.next.Kind != TrimHorizon || p.Kind != AfterRecord || len(raw) == 0 {
		return
	}
	if first, next := raw[0].Sequence.Offset, p.Sequence.Offset+1; first > next {
		h.w.counters.trimmed.Add(int64(first - next))
		h.log.Error("records were lost to retention", "count", first-next, "next", raw[0].Sequence)
	}
	if p.Within {
		h.w.counters.trimmed.Add(1) // what was left of an aggregated record
	}
}

// checkpointNow checkpoints what is processed when it is time.
func (h *held) checkpointNow() {
	if !h.automatic() || time.Since(h.checkpointed) < h.w.o.CheckpointEvery {
		return
	}
	h.checkpointed = time.Now()
	if err := h.checkpoint(h.ctx, h.checkpointer.Processed()); err != nil && h.ctx.Err() == nil {
		h.log.Warn("checkpoint failed; trying again later", "error", err)
	}
}

// deliver has records processed, in order. Those that keep failing are found by halving,
// and put aside one by one. An error means that the shard is given up or lost; what was
// processed until then is noted.
func (h *held) deliver(records []Record, behind int64, attempts int) error {
	if len(records) == 0 {
		return nil
	}
	tried, err := h.try(records, behind, attempts)
	if err == nil {
		h.advance(records[len(records)-1].Position())
		return nil
	}
	if h.ctx.Err() != nil {
		return h.whyLost()
	}
	if h.reading.Err() != nil {
		return errStopped
	}
	if len(records) == 1 {
		return h.putAside(&records[0], err, tried)
	}
	h.w.counters.bisections.Add(1)
	half := len(records) / 2
	for _, part := range [][]Record{records[:half], records[half:]} {
		attempts := 1
		if len(part) == 1 {
			attempts = h.w.o.Attempts
		}
		if err := h.deliver(part, behind, attempts); err != nil {
			return err
		}
	}
	return nil
}

// try calls the processor until it succeeds or has failed often enough. An error that is
// Transient does not count.
func (h *held) try(records []Record, behind int64, attempts int) (tried int, err error) {
	wait := h.w.o.RetryWait
	batch := Batch{Shard: h.shard, Records: records, MillisBehind: behind, Checkpointer: &h.checkpointer}
	for failed := 0; ; {
		batch.Attempt++
		if err = h.process(batch); err == nil {
			h.w.counters.records.Add(int64(len(records)))
			h.w.counters.batches.Add(1)
			return batch.Attempt, nil
		}
		if h.ctx.Err() != nil {
			return batch.Attempt, err
		}
		h.w.counters.failures.Add(1)
		var transient *transientError
		if !errors.As(err, &transient) {
			failed++
		}
		h.log.Warn("the processor failed", "records", len(records), "first", records[0].Sequence, "attempt", batch.Attempt, "error", err)
		if failed >= attempts || !h.pause(wait) {
			return batch.Attempt, err
		}
		wait = min(2*wait, h.w.o.RetryMax)
	}
}

func (h *held) process(b Batch) (err error) {
	defer h.w.recovered(&err)
	return h.w.o.Processor.Process(h.ctx, b)
}

// putAside hands a record that keeps failing to the sink, for as long as that takes.
func (h *held) putAside(r *Record, reason error, attempts int) error {
	a := Aside{Shard: h.shard.ID, Record: *r, Reason: reason, Attempts: attempts}
	err := h.retry("put a record aside", func() (err error) {
		defer h.w.recovered(&err)
		if err = h.w.o.PutAside(h.ctx, a); err != nil {
			h.w.counters.putAsideFailures.Add(1)
		}
		return err
	})
	if err != nil {
		return err
	}
	h.w.counters.putAside.Add(1)
	h.log.Error("a record was put aside", "sequence", r.Sequence, "sub", r.Sub, "attempts", attempts, "reason", reason)
	h.advance(r.Position())
	return nil
}

// recovered turns a panic of the user's code into an error.
func (w *Worker) recovered(err *error) {
	if v := recover(); v != nil {
		w.counters.panics.Add(1)
		*err = &panicError{v, debug.Stack()}
	}
}
