"""The daemon. Files are verbs, in this order; stages never call each other, they meet in the tables.

    peer --C-STORE--> receive -> assemble -> dispatch -> [queue] -> analyse -> encode -> deliver --C-STORE--> peer
                      instance     series      job         lease     findings   result    delivery
                      stored       closed      enqueued    taken     kept       proven    sent

`rescue` gives back what a dead process held, `prune` removes what retention no longer needs, `supervise` starts and
watches the processes, and `app` is the only file that builds all of them from the configuration.
"""
