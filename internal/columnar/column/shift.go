package column

// Shifted returns a vector of numbers with base added to each, sharing the rest with v.
func (v *Vector) Shifted(base uint64, a *Arena) *Vector {
	out := *v
	out.nums = a.Words(len(v.nums))
	for i, n := range v.nums {
		out.nums[i] = n + base
	}
	return &out
}

// NumVector returns a vector of one number for each row.
func NumVector(kind Kind, nums []uint64) *Vector {
	return &Vector{kind: kind, n: len(nums), count: len(nums), nums: nums}
}
