package shop

import (
	"math"
	"math/rand/v2"
	"strconv"

	"freshet/ingest/point"
)

// routes are what visitors ask for.
var routes = []struct {
	path    string
	weight  float64
	median  float64 // ms
	spread  float64 // sigma of the logarithm
	failing float64 // share of requests that fail on a good day
	missing float64 // share of requests for what is not there
	pays    bool    // it waits for the payment provider
}{
	{path: "/", weight: 0.21, median: 38, spread: 0.42, failing: 0.0008},
	{path: "/search", weight: 0.19, median: 92, spread: 0.55, failing: 0.0020},
	{path: "/category", weight: 0.16, median: 61, spread: 0.45, failing: 0.0010, missing: 0.002},
	{path: "/product", weight: 0.26, median: 54, spread: 0.44, failing: 0.0010, missing: 0.006},
	{path: "/cart", weight: 0.08, median: 71, spread: 0.40, failing: 0.0018},
	{path: "/checkout", weight: 0.035, median: 230, spread: 0.50, failing: 0.0040, pays: true},
	{path: "/account", weight: 0.035, median: 66, spread: 0.42, failing: 0.0012, missing: 0.001},
	{path: "/api/stock", weight: 0.03, median: 17, spread: 0.38, failing: 0.0006},
}

// countries are where visitors are.
var countries = []struct {
	code  string
	share float64
}{
	{"DE", 0.33}, {"FR", 0.16}, {"NL", 0.12}, {"GB", 0.11}, {"AT", 0.09}, {"IT", 0.08}, {"ES", 0.06}, {"PL", 0.05},
}

// channels are where orders come from.
var channels = []struct {
	name  string
	share float64
	store bool // has opening hours
}{
	{name: "web", share: 0.55}, {name: "app", share: 0.35}, {name: "store", share: 0.10, store: true},
}

// products, the best selling first. Prices are in EUR.
var products = []struct {
	name  string
	price float64
}{
	{"Espresso beans 1 kg", 24.90}, {"Oat drink 6 × 1 l", 11.40}, {"Paper filters", 4.50}, {"Travel mug", 27.00},
	{"French press", 34.90}, {"Hand grinder", 79.00}, {"Cleaning tablets", 8.90}, {"Milk jug", 19.50},
	{"Decaf beans 500 g", 14.90}, {"Pour-over set", 42.00}, {"Cold brew bottle", 29.90}, {"Kitchen scale", 49.00},
	{"Double-wall glasses", 22.00}, {"Descaler", 9.90}, {"Gooseneck kettle", 95.00}, {"Bean canister", 26.50},
	{"Tamper", 32.00}, {"Tea sampler", 17.90}, {"Moka pot", 37.50}, {"Syrup caramel", 7.90},
	{"Electric grinder", 189.00}, {"Barista apron", 39.00}, {"Knock box", 28.00}, {"Thermometer", 15.90},
	{"Gift card", 50.00}, {"Stoneware cups", 44.00}, {"Matcha 100 g", 21.90}, {"Capsules 50", 18.50},
	{"Water filter", 23.90}, {"Espresso machine", 549.00},
}

// popularity is the exponent of Zipf's law.
const popularity = 0.9

var (
	routeWeights   = cumulative(len(routes), func(i int) float64 { return routes[i].weight })
	countryWeights = cumulative(len(countries), func(i int) float64 { return countries[i].share })
	channelWeights = cumulative(len(channels), func(i int) float64 { return channels[i].share })
	productWeights = cumulative(len(products), func(i int) float64 { return math.Pow(float64(i+1), -popularity) })

	durationSeries = seriesOf(routes, func(i int) point.Series {
		return series("shop.request.duration", point.Distribution, "route", routes[i].path)
	})
	visitorSeries = seriesOf(countries, func(i int) point.Series {
		return series("shop.visitors", point.Set, "country", countries[i].code)
	})
	stockSeries = seriesOf(products, func(i int) point.Series {
		return series("shop.stock", point.Gauge, "product", products[i].name)
	})
)

// seriesOf returns one series for each element of list.
func seriesOf[T any](list []T, of func(int) point.Series) []point.Series {
	all := make([]point.Series, len(list))
	for i := range list {
		all[i] = of(i)
	}
	return all
}

// series returns a series with the labels given as names and values, sorted by
// name.
func series(metric string, t point.Type, labels ...string) point.Series {
	s := point.Series{Metric: metric, Type: t}
	for i := 0; i < len(labels); i += 2 {
		s.Labels = append(s.Labels, point.Label{Name: labels[i], Value: labels[i+1]})
	}
	return s
}

// fullStock returns how much of a product is on the shelf after it was filled.
func fullStock(product int) float64 {
	return math.Round(900*math.Pow(float64(product+1), -0.6)) + 20
}

// cumulative returns running sums of n weights, the last one 1.
func cumulative(n int, weight func(int) float64) []float64 {
	sums := make([]float64, n)
	var total float64
	for i := range sums {
		total += weight(i)
		sums[i] = total
	}
	for i := range sums {
		sums[i] /= total
	}
	return sums
}

// pick draws an index with the probabilities of running sums.
func pick(r *rand.Rand, sums []float64) int {
	u := r.Float64()
	for i, sum := range sums {
		if u < sum {
			return i
		}
	}
	return len(sums) - 1
}

// poisson draws how often something happens that happens mean times on
// average. (Knuth, The Art of Computer Programming, 3.4.1; for large means the
// normal distribution near it.)
func poisson(r *rand.Rand, mean float64) int {
	if mean > 50 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*r.NormFloat64())))
	}
	limit, n := math.Exp(-mean), 0
	for p := r.Float64(); p > limit; p *= r.Float64() {
		n++
	}
	return n
}

// mix scatters x over 64 bit. (The finaliser of SplitMix64.)
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func visitorID(hash uint64) string { return "v" + strconv.FormatUint(hash>>16, 36) }
