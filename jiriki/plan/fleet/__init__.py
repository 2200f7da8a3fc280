"""A fleet month by month: demand, market, rules, the mixed-integer plan and its reasons."""
