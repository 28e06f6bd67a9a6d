// Package shop simulates a web shop for the demo: visitors, requests with
// latencies, orders, stock, incidents now and then, and points that are posted
// late.
//
// cmd/freshet runs it and passes the points on to the SDK. It keeps no files,
// so there is nothing to find after a crash. A Shop belongs to one goroutine;
// Run is that goroutine and starts no other.
//
// # What is simulated
//
// Traffic follows the local clock (a quiet night, a peak at lunch and a higher
// one in the evening) and the weekday, and swings a little on its own. A request
// has a route, a log-normal latency and a status; some become orders of a few
// products, of which the popular ones sell far more (Zipf). Incidents last 1 to
// 3 min: latencies rise fourfold and errors with them. One or two points in a
// hundred are posted up to 3 min late.
//
// The same seed, start and steps give the same points.
package shop

import (
	"container/heap"
	"context"
	"math"
	"math/rand/v2"
	"time"

	"freshet/ingest/point"
)

// Options say which shop is simulated.
type Options struct {
	Seed  uint64
	Start time.Time // the shop's clock before the first step
	// Opening is when the visible part begins: an incident follows it within
	// minutes. Zero means Start.
	Opening time.Time
}

// Slices of simulated time. Live points are handed out every slice, so that
// they are hardly older than that.
const (
	liveSlice = 250 * time.Millisecond
	pastSlice = time.Second
)

// pastSample is the part of the observations that the past is told in. Counters
// are complete.
const pastSample = 0.25

// How many points are late, and by how much.
const (
	lateShare = 0.015
	maxLate   = 3 * time.Minute
)

// A Shop is one simulated shop.
type Shop struct {
	seed      uint64
	clock     time.Time
	incidents incidents
	stock     []float64 // by product, in units
	late      lateQueue

	// Of the slice that is being simulated.
	random *rand.Rand
	counts counts
}

// New returns a shop whose clock stands at o.Start.
func New(o Options) *Shop {
	if o.Opening.IsZero() {
		o.Opening = o.Start
	}
	s := &Shop{seed: o.Seed, clock: o.Start.Truncate(pastSlice), incidents: incidents{seed: o.Seed, first: o.Opening.Add(firstIncident)}}
	first := rand.New(rand.NewPCG(o.Seed, 1))
	s.stock = make([]float64, len(products))
	for i := range s.stock {
		s.stock[i] = math.Round(fullStock(i) * (0.4 + 0.6*first.Float64()))
	}
	return s
}

// Past simulates from the shop's clock up to to, quickly and with fewer
// observations, and hands out the points in the order in which they would have
// been posted.
func (s *Shop) Past(to time.Time, emit func(point.Point)) {
	s.simulate(to, pastSlice, pastSample, emit)
}

// Live simulates from the shop's clock up to to in full.
func (s *Shop) Live(to time.Time, emit func(point.Point)) { s.simulate(to, liveSlice, 1, emit) }

// Run catches up with the present and then keeps up with it, until ctx ends.
// emit is called from this goroutine only.
func (s *Shop) Run(ctx context.Context, emit func(point.Point)) error {
	s.Past(time.Now(), emit)
	tick := time.NewTicker(liveSlice)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			s.Live(time.Now(), emit)
		}
	}
}

// simulate runs whole slices up to to. sample is the part of the observations
// that is handed out.
func (s *Shop) simulate(to time.Time, slice time.Duration, sample float64, emit func(point.Point)) {
	for end := s.clock.Add(slice); !end.After(to); end = s.clock.Add(slice) {
		s.random = rand.New(rand.NewPCG(s.seed, uint64(s.clock.UnixMilli())))
		s.slice(slice, sample, func(p point.Point) {
			if s.random.Float64() < lateShare {
				delay := time.Duration(s.random.Float64() * float64(maxLate))
				heap.Push(&s.late, latePoint{due: p.Time + delay.Milliseconds(), order: s.late.pushed, point: p})
				s.late.pushed++
				return
			}
			emit(p)
		})
		s.clock = end
		for len(s.late.points) > 0 && s.late.points[0].due <= end.UnixMilli() {
			emit(heap.Pop(&s.late).(latePoint).point)
		}
	}
}

// slice simulates what happens between the clock and d later.
func (s *Shop) slice(d time.Duration, sample float64, emit func(point.Point)) {
	var (
		seconds = d.Seconds()
		busy    = traffic(s.clock)
		trouble = s.incidents.at(s.clock)
	)
	s.counts.reset()
	for range poisson(s.random, peakRequests*busy*seconds) {
		s.request(d, busy, trouble, sample, emit)
	}
	for range poisson(s.random, peakOrders*busy*trouble.orders()*seconds) {
		s.order()
	}
	s.counts.emit(s.clock.Add(d).UnixMilli()-1, emit)
	s.reportStock(d, emit)
}

// instant returns a moment within the slice of length d, in epoch ms.
func (s *Shop) instant(d time.Duration) int64 {
	return s.clock.UnixMilli() + s.random.Int64N(d.Milliseconds())
}

// request simulates one request.
func (s *Shop) request(d time.Duration, busy float64, trouble incident, sample float64, emit func(point.Point)) {
	var (
		r       = pick(s.random, routeWeights)
		at      = s.instant(d)
		latency = routes[r].median * math.Exp(routes[r].spread*s.random.NormFloat64()) * (0.9 + 0.25*busy) * trouble.slowdown(r)
		status  = s.status(r, trouble)
	)
	if status >= 500 && status != 504 {
		latency *= 0.6 // it gave up early
	}
	s.counts.requests[requestKey{r, status}]++
	if status >= 400 {
		s.counts.errors[requestKey{r, status}]++
	}
	if s.random.Float64() < sample {
		emit(point.Point{Series: durationSeries[r], Time: at, Value: math.Round(latency*100) / 100})
	}
	country := pick(s.random, countryWeights)
	if visitor := s.visitor(country, busy); s.random.Float64() < 0.5 { // in full: distinct counts cannot be scaled up
		emit(point.Point{Series: visitorSeries[country], Time: at, Member: visitor})
	}
}

// status draws the outcome of a request for route r.
func (s *Shop) status(r int, trouble incident) int {
	u := s.random.Float64()
	failing := routes[r].failing * trouble.failures(r)
	switch {
	case u < failing*0.5:
		return 500
	case u < failing*0.8:
		return 503
	case u < failing:
		return 504
	case u < failing+routes[r].missing:
		return 404
	case u < failing+routes[r].missing+0.11:
		return 304
	}
	return 200
}

// stay is about how long a visitor is in the shop.
const stay = 4 * time.Minute

// visitor draws one of those who are in the shop now. Places are taken by
// somebody new every stay, not all at once.
func (s *Shop) visitor(country int, busy float64) string {
	places := max(3, int(peakVisitors*busy*countries[country].share))
	place := s.random.IntN(places)
	turn := (s.clock.Unix() + int64(mix(uint64(place))%uint64(stay.Seconds()))) / int64(stay.Seconds())
	return visitorID(mix(s.seed ^ mix(uint64(country)<<40^uint64(place)<<32^uint64(turn))))
}

// order simulates one order.
func (s *Shop) order() {
	key := orderKey{pick(s.random, countryWeights), s.channel()}
	var total float64
	for range 1 + poisson(s.random, 0.6) {
		p := pick(s.random, productWeights)
		units := 1 + float64(poisson(s.random, 0.15))
		if units > s.stock[p] {
			continue // sold out
		}
		s.stock[p] -= units
		total += units * products[p].price
		s.counts.sales[p] += units
	}
	if total == 0 {
		return
	}
	s.counts.orders[key]++
	s.counts.revenue[key] += total
}

// channel draws where an order comes from. Stores are open from 9 to 20.
func (s *Shop) channel() int {
	c := pick(s.random, channelWeights)
	if hour := s.clock.Hour(); channels[c].store && (hour < 9 || hour >= 20) {
		return 0
	}
	return c
}

// stockEvery is how often the stock of a product is reported and, when it is
// low, filled up.
const stockEvery = 10 * time.Second

// reportStock tells the stock of the products whose turn falls into the slice.
func (s *Shop) reportStock(d time.Duration, emit func(point.Point)) {
	for i := range products {
		turn := int64(mix(uint64(i))%uint64(stockEvery.Milliseconds())) - s.clock.UnixMilli()%stockEvery.Milliseconds()
		if turn < 0 || turn >= d.Milliseconds() {
			continue
		}
		if s.stock[i] < 0.12*fullStock(i) && s.random.Float64() < 0.05 {
			s.stock[i] = fullStock(i)
		}
		emit(point.Point{Series: stockSeries[i], Time: s.clock.UnixMilli() + turn, Value: s.stock[i]})
	}
}

// A latePoint waits to be posted.
type latePoint struct {
	due   int64 // epoch ms
	order uint64
	point point.Point
}

// lateQueue is a heap with what is due next on top.
type lateQueue struct {
	points []latePoint
	pushed uint64
}

func (q *lateQueue) Len() int { return len(q.points) }
func (q *lateQueue) Less(i, j int) bool {
	if q.points[i].due != q.points[j].due {
		return q.points[i].due < q.points[j].due
	}
	return q.points[i].order < q.points[j].order
}
func (q *lateQueue) Swap(i, j int) { q.points[i], q.points[j] = q.points[j], q.points[i] }
func (q *lateQueue) Push(x any)    { q.points = append(q.points, x.(latePoint)) }
func (q *lateQueue) Pop() any {
	last := q.points[len(q.points)-1]
	q.points = q.points[:len(q.points)-1]
	return last
}
