package bench

// Bodies returns posts of a fleet as they are sent: each body of the series at ms.
func Bodies(codec, kind string, series, batch int, whole bool, ms int64) (data [][]byte, sum float64, err error) {
	f := &fleet{metric: "m", kind: kind, series: series, batch: batch, codec: codec, whole: whole}
	if err := f.check(); err != nil {
		return nil, 0, err
	}
	b, err := f.body(1)
	if err != nil {
		return nil, 0, err
	}
	for n := range f.bodies() {
		b.stamp(ms, n*batch)
		data = append(data, append([]byte(nil), b.data...))
		sum += b.sum
	}
	return data, sum, nil
}

// What a viewer reads of a websocket, and how figures are made.
var (
	Frames    = frames
	Masked    = masked
	FrameID   = frameID
	LastValue = lastValue
	Quantile  = quantile
	Number    = number
)

// What a soak reckons with.
type (
	Ledger = ledger
	Tally  = tally
)

var (
	NewLedger = newLedger
	Compare   = compare
	Rise      = rise
)

// TallyOf returns a tally of points with a sum.
func TallyOf(points int64, sum float64) Tally { return tally{points: points, sum: sum} }

// Points returns what a tally counts.
func (t tally) Points() (int64, float64) { return t.points, t.sum }

// Begin, End, Closed and Between are what a soak calls.
func (l *ledger) Begin(connection int) int64            { return l.begin(connection) }
func (l *ledger) End(connection int, ms int64, t Tally) { l.end(connection, ms, t) }
func (l *ledger) Closed(step int64) int64               { return l.closed(step) }
func (l *ledger) Between(from, to, step int64) map[int64]Tally {
	return l.between(from, to, step)
}
