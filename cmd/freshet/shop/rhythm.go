package shop

import (
	"math"
	"math/rand/v2"
	"time"
)

// What happens when traffic is 1, about the middle of a working day.
const (
	peakRequests = 46.0  // a second
	peakOrders   = 1.4   // a second
	peakVisitors = 620.0 // in the shop at once
)

// hourly is the traffic at each full hour of the local clock.
var hourly = [24]float64{
	0.62, 0.50, 0.44, 0.42, 0.44, 0.50, 0.62, 0.78, 0.92, 1.00, 1.04, 1.10,
	1.18, 1.12, 1.02, 0.98, 1.02, 1.12, 1.26, 1.42, 1.50, 1.38, 1.10, 0.82,
}

// weekdays is what a day does to it, Sunday first.
var weekdays = [7]float64{1.15, 1.04, 0.96, 0.95, 0.97, 1.00, 1.10}

// traffic returns how much is going on at t, 1 for an ordinary noon. It follows
// t's own clock and is smooth.
func traffic(t time.Time) float64 {
	hour := float64(t.Hour()) + float64(t.Minute())/60 + float64(t.Second())/3600
	before := int(hour)
	part := hour - float64(before)
	part = part * part * (3 - 2*part)
	level := hourly[before]*(1-part) + hourly[(before+1)%24]*part

	// Two swings that never meet in the same way, of minutes each.
	s := float64(t.UnixMilli()) / 1000
	swing := 1 + 0.06*math.Sin(2*math.Pi*s/437) + 0.05*math.Sin(2*math.Pi*s/167+1) + 0.03*math.Sin(2*math.Pi*s/61+2)
	return level * weekdays[t.Weekday()] * swing
}

// Incidents.
const (
	firstIncident = 150 * time.Second // after the opening
	incidentSlot  = 20 * time.Minute  // in each of these there may be one
	incidentShare = 0.55              // of the slots have one
	incidentRamp  = 8 * time.Second   // from well to bad, and back
)

// incidents knows when something is wrong. It holds no state: any instant can
// be asked for.
type incidents struct {
	seed  uint64
	first time.Time // one begins here in any case
}

// An incident is how bad it is now, 0 for not at all to 1, and where.
type incident struct {
	depth   float64
	payment bool // only the checkout, and there badly; else everything
}

// at returns what is wrong at t.
func (in incidents) at(t time.Time) incident {
	if i := shape(t, in.first, 100*time.Second); i > 0 {
		return incident{depth: i}
	}
	slot := t.Truncate(incidentSlot)
	r := rand.New(rand.NewPCG(in.seed, ^uint64(slot.Unix())))
	if r.Float64() >= incidentShare {
		return incident{}
	}
	lasts := time.Minute + time.Duration(r.Float64()*float64(2*time.Minute))
	begin := slot.Add(time.Duration(r.Float64() * float64(incidentSlot-lasts)))
	if math.Abs(float64(begin.Sub(in.first))) < float64(5*time.Minute) {
		return incident{} // the first one is enough
	}
	return incident{depth: shape(t, begin, lasts), payment: r.Float64() < 0.4}
}

// shape returns how deep t is in an incident: it comes and goes within
// incidentRamp.
func shape(t, begin time.Time, lasts time.Duration) float64 {
	in := t.Sub(begin)
	if in <= 0 || in >= lasts {
		return 0
	}
	return math.Min(1, math.Min(float64(in), float64(lasts-in))/float64(incidentRamp))
}

// slowdown returns what the incident multiplies the latency of route r with.
func (i incident) slowdown(r int) float64 {
	if i.payment && !routes[r].pays {
		return 1
	}
	return 1 + 3*i.depth
}

// failures returns what the incident multiplies the failures of route r with.
func (i incident) failures(r int) float64 {
	if i.payment {
		if routes[r].pays {
			return 1 + 60*i.depth
		}
		return 1
	}
	return 1 + 22*i.depth
}

// orders returns what the incident leaves of the orders.
func (i incident) orders() float64 {
	if i.payment {
		return 1 - 0.75*i.depth
	}
	return 1 - 0.4*i.depth
}
