package shop

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"

	"freshet/ingest/point"
)

type requestKey struct{ route, status int }
type orderKey struct{ country, channel int }

// counts are the counters of one slice: as an application would, the shop posts
// one increment a series and slice.
type counts struct {
	requests map[requestKey]float64
	errors   map[requestKey]float64
	orders   map[orderKey]float64
	revenue  map[orderKey]float64 // EUR
	sales    map[int]float64      // units by product
}

func (c *counts) reset() {
	if c.requests == nil {
		*c = counts{map[requestKey]float64{}, map[requestKey]float64{}, map[orderKey]float64{}, map[orderKey]float64{}, map[int]float64{}}
	}
	clear(c.requests)
	clear(c.errors)
	clear(c.orders)
	clear(c.revenue)
	clear(c.sales)
}

// emit hands out the counters, in an order that depends on nothing else.
func (c *counts) emit(ts int64, emit func(point.Point)) {
	each(c.requests, byRequest, func(k requestKey, n float64) {
		s := series("shop.requests", point.Counter, "route", routes[k.route].path, "status", strconv.Itoa(k.status))
		emit(point.Point{Series: s, Time: ts, Value: n})
	})
	each(c.errors, byRequest, func(k requestKey, n float64) {
		s := series("shop.errors", point.Counter, "code", strconv.Itoa(k.status), "route", routes[k.route].path)
		emit(point.Point{Series: s, Time: ts, Value: n})
	})
	each(c.orders, byOrder, func(k orderKey, n float64) {
		emit(point.Point{Series: orderSeries("shop.orders", k), Time: ts, Value: n})
	})
	each(c.revenue, byOrder, func(k orderKey, eur float64) {
		emit(point.Point{Series: orderSeries("shop.revenue", k), Time: ts, Value: math.Round(eur*100) / 100})
	})
	each(c.sales, cmp.Compare[int], func(p int, units float64) {
		emit(point.Point{Series: series("shop.product.sales", point.Counter, "product", products[p].name), Time: ts, Value: units})
	})
}

func orderSeries(metric string, k orderKey) point.Series {
	return series(metric, point.Counter, "channel", channels[k.channel].name, "country", countries[k.country].code)
}

func byRequest(a, b requestKey) int {
	return cmp.Or(cmp.Compare(a.route, b.route), cmp.Compare(a.status, b.status))
}

func byOrder(a, b orderKey) int {
	return cmp.Or(cmp.Compare(a.country, b.country), cmp.Compare(a.channel, b.channel))
}

// each calls f for every entry in the order of compare.
func each[K comparable](m map[K]float64, compare func(a, b K) int, f func(K, float64)) {
	for _, k := range slices.SortedFunc(maps.Keys(m), compare) {
		f(k, m[k])
	}
}
