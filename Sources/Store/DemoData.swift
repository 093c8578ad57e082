import Foundation

/// Demo data: a services company's projects, tasks, customers and documents.
package enum DemoData {
    /// Row of the demo data.
    package struct Project {
        /// Primary key.
        package let id: Int64
        /// Name that searches show.
        package let name: String
        package let description: String
    }

    static let projectCount = 240

    /// Project that the examples search for.
    private static let urgent = Project(
        id: 123, name: "Urgent Q2",
        description:
            "Escalation of the second quarter: the warehouse interface must be live before the June stocktaking.")

    /// Further projects that mention "urgent". Few enough of them have ids below 123 that `Urgent Q2` is among the
    /// first five.
    private static let otherUrgent: [Int64: (name: String, description: String)] = [
        17: ("Urgent Certificate Renewal", "Renew the expiring TLS certificates of all customer portals."),
        58: ("Pump Telemetry Retrofit", "Retrofit of old pumps; urgent for the two sites without spare parts."),
        96: ("Urgent Payroll Fix", "Correct the overtime rule that the payroll run of March applied wrongly."),
        171: (
            "Urgent Cold Chain Alarms", "Alarms must reach the driver within a minute, not the depot within an hour."
        ),
        208: ("Supplier Claims Backlog", "Work off the urgent claims first, oldest of each supplier."),
    ]

    private static let subjects = [
        "Warehouse", "Customer Portal", "Billing", "Fleet", "Inventory", "Payroll", "Field Service", "Telemetry",
        "Procurement", "Data Platform", "Helpdesk", "Identity", "Energy Reporting", "Quality", "Supplier", "Training",
    ]

    private static let works: [(name: String, description: String)] = [
        ("Migration", "Move %@ to the new platform with a parallel run of four weeks."),
        ("Audit", "Review access, logging and backups of %@ and close the findings."),
        ("Rollout", "Bring %@ to the remaining sites, one region at a time."),
        ("Redesign", "Simplify the daily screens of %@ together with the people who use them."),
        ("Forecast", "Plan capacity and cost of %@ for the next four quarters."),
        ("Integration", "Connect %@ with the finance system through the message bus."),
        ("Consolidation", "Merge the three regional installations of %@ into one."),
        ("Stabilisation", "Remove the ten most frequent causes of incidents in %@."),
    ]

    /// Demo projects, the same at every call.
    package static var projects: [Project] {
        (1...Int64(projectCount)).map { id in
            if id == urgent.id { return urgent }
            if let other = otherUrgent[id] { return Project(id: id, name: other.name, description: other.description) }
            let index = Int(id - 1)
            let subject = subjects[index % subjects.count]
            let work = works[(index / subjects.count + index) % works.count]
            let quarter = (index * 7 / 3) % 4 + 1
            let year = 2024 + index % 3
            return Project(
                id: id, name: "\(subject) \(work.name) Q\(quarter) \(year)",
                description: work.description.replacing("%@", with: subject.lowercased()))
        }
    }

    /// Demo tasks, the same at every call.
    package static var tasks: [(id: Int64, title: String, notes: String, project: Int64)] {
        let kinds = [
            ("Write the acceptance checklist", "Agree on it with the customer before the first demonstration."),
            ("Review the interface contract", "Names, units and error codes; both sides sign."),
            ("Prepare the rehearsal", "Full data, the real network, a person who has not seen it before."),
            ("Collect the open questions", "One list, an owner and a date for each."),
            ("Update the runbook", "Start, stop, restore, and whom to call."),
            ("Measure the baseline", "Response times and error rates of an ordinary week."),
            ("Train the key users", "Two hours on site, recorded."),
            ("Close the security findings", "Evidence for each goes into the audit folder."),
        ]
        let urgentTasks: [(id: Int64, title: String, notes: String, project: Int64)] = [
            (1, "Order the label printers", "Urgent: eight weeks of delivery time.", 123),
            (2, "Freeze the article master data", "Needed before the stocktaking rehearsal.", 123),
        ]
        return urgentTasks
            + (3...150).map { id in
                let kind = kinds[id % kinds.count]
                return (Int64(id), "\(kind.0) (\(id))", kind.1, Int64(id * 13 % projectCount + 1))
            }
    }

    /// Demo customers, the same at every call.
    package static var customers: [(id: Int64, company: String, contact: String)] {
        let places = [
            "Northern", "Harbour", "Alpine", "Riverside", "Old Town", "Lakeland", "Żuławy", "Skåne", "Ardennes",
            "Midland",
        ]
        let trades = ["Foods", "Logistics", "Water Works", "Printing", "Timber", "Clinics"]
        let people = ["Ines Ortega", "Jakub Łoziński", "Mary Okafor", "Søren Dahl", "Léa Fournier", "Tom Baker"]
        return (1...60).map { id in
            let index = id - 1
            let place = places[index % places.count]
            let trade = trades[index / places.count]
            let person = people[(index * 5 + index / 6) % people.count]
            return (Int64(id), "\(place) \(trade)", "\(person), customer\(id)@example.test")
        }
    }
}
