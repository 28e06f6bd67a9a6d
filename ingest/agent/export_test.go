package agent

// What the tests look at from outside.
var (
	WholeDisks      = wholeDisks
	OuterInterfaces = outerInterfaces
)

// Shares calls shares with the times of modes, idle last.
func Shares(names []string, last, now []float64) map[string]float64 {
	modes := func(times []float64) []cpuMode {
		var list []cpuMode
		for i, name := range names {
			list = append(list, cpuMode{name, times[i]})
		}
		return list
	}
	result := map[string]float64{}
	for _, s := range shares(modes(last), modes(now)) {
		result[s.name] = s.time
	}
	return result
}
