"""The cost model held against silicon: published dies, and gates that a synthesis tool counted."""
