package simulator

// mix scatters the bits of x (the output function of the SplitMix64 generator).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// key returns a number that depends on all values and their order. Every random
// number is the key of what it is for, so that it is the same whenever it is
// asked for.
func key(values ...uint64) uint64 {
	var h uint64
	for _, value := range values {
		h = mix(h ^ value)
	}
	return h
}

// unit turns a key into a number from 0 up to but not including 1.
func unit(key uint64) float64 { return float64(key>>11) / (1 << 53) }

// What a key is for, so that the random numbers do not depend on each other.
const (
	forWorkday uint64 = iota + 1
	forPace
	forDraw
	forStart
	forVisits
	forReturn
	forDrain
	forName
	forUsers
)
