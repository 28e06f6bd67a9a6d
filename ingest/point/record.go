package point

import "io"

// A jsonBatch is what it takes to make a batch of a JSON payload.
type jsonBatch struct {
	scanner Scanner
	view    View
	builder Builder
	payload []byte
}

// DecodeRecord makes b the points in the payload of a record of the stream `metrics`: a
// batch if it begins with the codec's magic byte, else JSON. arrived is when the record was
// appended, in epoch milliseconds: the time of points that say none, and that against which
// times are checked. The same payload and time give the same points in the same order.
//
// Points that may not be are left out, and Rejected tells of them. If that leaves nothing of a
// payload that is not an empty batch or array, b is empty, and the error is a *Malformed, a
// *SyntaxError or the *Error of the first point.
func (b *Batch) DecodeRecord(payload []byte, arrived int64) error {
	if len(payload) > 0 && payload[0] == batchMagic {
		if err := b.Decode(payload); err != nil {
			return err
		}
		b.dropTimes(arrived)
		if b.Len() == 0 {
			return b.reject
		}
		return nil
	}
	return b.decodeJSON(payload, arrived)
}

// Rejected returns how many points of the record DecodeRecord left out, and what was wrong
// with the first of them.
func (b *Batch) Rejected() (n int, first error) { return b.rejected, b.reject }

func (b *Batch) decodeJSON(payload []byte, arrived int64) error {
	if b.json == nil {
		b.json = new(jsonBatch)
	}
	j := b.json
	j.builder.Reset()
	j.scanner.Reset(payload, arrived)
	rejected := 0
	var reject error
	for {
		err := j.scanner.Next(&j.view)
		if err == io.EOF {
			break
		}
		if syntax, ok := err.(*SyntaxError); ok {
			b.Reset()
			return syntax
		}
		if err == nil {
			err = j.builder.Take(&j.view, arrived)
		}
		if err == nil {
			continue
		}
		if rejected++; reject == nil {
			reject = err
		}
	}
	if j.scanner.Empty() {
		b.Reset()
		return &Malformed{0, "neither a batch nor JSON: it is empty"}
	}
	j.payload = j.builder.Encode(j.payload[:0])
	if err := b.decode(j.payload, len(payload)); err != nil {
		return err
	}
	b.rejected, b.reject = rejected, reject
	if b.Len() == 0 {
		return reject
	}
	return nil
}

// recordSlack is how much further ahead of a record's arrival the points of a batch may be
// than those of a post. They were checked before, and are acknowledged: they must not be lost
// because the clock was set back in between.
const recordSlack = 60 * 1000

// dropTimes leaves out the points whose times are out of bounds.
func (b *Batch) dropTimes(arrived int64) {
	latest := arrived + MaxAhead + recordSlack
	good := true
	for _, t := range b.Time {
		good = good && t >= MinTime && t <= latest
	}
	if good {
		return
	}
	runs, to := b.Runs[:0], int32(0)
	for _, run := range b.Runs {
		first := to
		for i := run.First; i < run.First+run.N; i++ {
			if err := CheckTime(b.Time[i], arrived+recordSlack); err != nil {
				if b.rejected++; b.reject == nil {
					b.reject = err
				}
				continue
			}
			b.Time[to], b.Value[to] = b.Time[i], b.Value[i]
			if len(b.member) > 0 {
				b.member[to] = b.member[i]
			}
			to++
		}
		if to > first {
			run.First, run.N = first, to-first
			runs = append(runs, run)
		}
	}
	b.Runs, b.Time, b.Value, b.whole = runs, b.Time[:to], b.Value[:to], false
	if len(b.member) > 0 {
		b.member = b.member[:to]
	}
}
