package simulator

// mix scatters the bits of x (the output function of the SplitMix64 generator).
// Each fact of the log is drawn from a key of its own instead of from one
// stream, so that what happens late cannot change what happened before.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// key returns a key that depends on all parts and their order.
func key(parts ...uint64) uint64 {
	var h uint64
	for _, part := range parts {
		h = mix(h ^ part)
	}
	return h
}

// unit turns a key into a number from 0 up to but not including 1.
func unit(key uint64) float64 { return float64(key>>11) / (1 << 53) }

// What a key is for, so that facts do not depend on each other.
const (
	forLead uint64 = iota + 1
	forBreak
	forDemand
	forRate
	forArrival
	forUser
	forQuery
	forExtra
	forExtraUser
	forReturn
	forSpeed
	forName
	forBase
)
